/** What one read brought. */
export interface PtpChunk {
  readonly bytes: Uint8Array;
  /** A short or an empty packet ended it: the device ended its transfer. The empty one cannot be told from the bytes. */
  readonly endsTransfer: boolean;
}

/**
 * A still-image interface (USB class 06/01/01) of one device: its bulk endpoints and the class requests. The real one
 * is dock/host/usb-pipe.ts, one in memory dock/simulator/ptp-responder.ts. Contract:
 *
 * - One transfer at a time in each direction; a second one waits for the first.
 * - A read that fails has lost what it had received: the transaction is over, and so is the position in the stream.
 *   Reads are never used to poll, except to peek at rest.
 * - Events (interrupt endpoint) are read all the time, because old umtprd stops answering while nobody does, and are
 *   dropped: they are hints that come late, twice or never, and nothing here relies on one.
 * - Errors: `link.closed` when the device is gone, `usb.stall`, `usb.transfer-failed`, `wire.timeout`; those of
 *   `claim` and `reset` also `usb.in-use`, `usb.access-denied`.
 */
export interface PtpPipe extends AsyncDisposable {
  readonly name: string;
  /** Resolves when the device is gone or the pipe was disposed of. */
  readonly closed: Promise<void>;
  /** Of the bulk IN endpoint; the length of every read is a multiple of it. */
  readonly maxPacketBytes: number;
  /** What one read may ask for now; falls while more cameras share the kernel's memory for transfers. */
  readonly longestReadBytes: number;
  readonly vendorId: number;
  readonly productId: number;
  write(bytes: Uint8Array, timeoutMs: number): Promise<void>;
  /** At most `maxBytes`, a multiple of the packet size, up to the first packet that is not full. */
  read(maxBytes: number, timeoutMs: number): Promise<PtpChunk>;
  clearHalt(direction: 'in' | 'out'): Promise<void>;
  /** Class request 0x64: abandons a transaction. */
  cancel(transactionId: number): Promise<void>;
  /** Class request 0x67: the response code that says whether the device is ready; undefined when it cannot tell. */
  status(): Promise<number | undefined>;
  /** Class request 0x66: the device closes its session. Harms some that are well, so it is the last resort. */
  classReset(): Promise<void>;
  /** Ends the transfers under way as `wire.timeout`, on this side only: the device hears nothing of it. */
  abandon(): Promise<void>;
  /** Gives the device up: ends transfers under way, releases the interface, closes. */
  release(): Promise<void>;
  /** Takes the device again after `release`. */
  claim(): Promise<void>;
  /** Resets the device on its port and claims the interface again. */
  reset(): Promise<void>;
}
