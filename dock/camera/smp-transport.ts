/** Carries whole SMP messages; how they are framed is its own affair (console lines, HID reports). */
export interface SmpTransport extends AsyncDisposable {
  readonly name: string;
  readonly closed: Promise<void>;
  /** Largest message the framing lets through, before the server's own limit is known. */
  readonly maxMessageBytes: number;
  /** Bytes of the server's message buffer that the framing takes for itself. */
  readonly overheadBytes: number;
  /** How long a message of this size is on the wire, in ms; 0 where the wire is fast. */
  wireTimeMs(messageBytes: number): number;
  /** How long sending a message of this size is drawn out on purpose, in ms; absent where it leaves at once. */
  pacingMs?(messageBytes: number): number;
  onMessage(receiver: (message: Uint8Array) => void): void;
  /** Fails with `link.closed`. Messages leave in the order of the calls. */
  send(message: Uint8Array): Promise<void>;
}
