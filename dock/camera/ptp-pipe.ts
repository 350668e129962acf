/**
 * A still-image interface (USB class 06/01/01) of one device: three endpoints and the class requests. The real one is
 * dock/host/usb-pipe.ts. Contract:
 *
 * - One transfer at a time in each direction; callers serialise.
 * - A bulk read that times out has lost what it had received: the transaction is over, and so is the position in the
 *   stream. Reads are never used to poll, except to peek at rest.
 * - Errors: `link.closed` when the device is gone, `usb.stall`, `usb.transfer-failed`, `wire.timeout`.
 */
export interface PtpPipe extends AsyncDisposable {
  readonly name: string;
  /** Resolves when the device is gone. */
  readonly closed: Promise<void>;
  /** Of the bulk IN endpoint; the length of every read is a multiple of it. */
  readonly maxPacketBytes: number;
  readonly vendorId: number;
  readonly productId: number;
  write(bytes: Uint8Array, timeoutMs: number): Promise<void>;
  read(maxBytes: number, timeoutMs: number): Promise<Uint8Array>;
  /** One event container, or undefined when none came in time. */
  readEvent(timeoutMs: number): Promise<Uint8Array | undefined>;
  clearHalt(direction: 'in' | 'out'): Promise<void>;
  /** Class request 0x64: abandons a transaction. */
  cancel(transactionId: number): Promise<void>;
  /** Class request 0x67: the response code that says whether the device is ready; undefined when it cannot tell. */
  status(): Promise<number | undefined>;
  /** Resets the device on its port and claims the interface again. */
  reset(): Promise<void>;
}
