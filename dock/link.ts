/**
 * A connection that carries bytes both ways: a serial port, a pseudo-terminal, a USB gadget port.
 * Once `closed` has resolved, a link is never used again; whoever wants to go on opens a fresh one.
 */
export interface ByteLink extends AsyncDisposable {
  /** For people and logs, such as a device path. */
  readonly name: string;
  /** Resolves when the other side is gone or the link was disposed of; never rejects. */
  readonly closed: Promise<void>;
  /** Called for every chunk received; must only enqueue. One receiver at a time. */
  onBytes(receiver: (chunk: Uint8Array) => void): void;
  /** Resolves when the bytes are handed to the host. Fails with `link.closed`. */
  write(bytes: Uint8Array): Promise<void>;
}
