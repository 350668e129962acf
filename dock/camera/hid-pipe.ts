/**
 * A HID device opened for raw reports without report ids on the wire. The real one is dock/host/hid-pipe.ts.
 * Errors: `link.closed` when the device is gone.
 */
export interface HidPipe extends AsyncDisposable {
  /** For people and logs, such as `/dev/hidraw0`. */
  readonly name: string;
  /** Size of the reports that `write` takes. Those received have the size that the other side chose. */
  readonly reportBytes: number;
  /** How often the other side is asked for a report, or given one, in ms: 0.125, 1, 10 … */
  readonly reportIntervalMs: number;
  /** Resolves when the device is gone or the pipe was disposed of; never rejects. */
  readonly closed: Promise<void>;
  /** Called for every report received; must only enqueue. One receiver at a time. */
  onReport(receiver: (report: Uint8Array) => void): void;
  /** Sends one report of exactly the report size. */
  write(report: Uint8Array): Promise<void>;
}
