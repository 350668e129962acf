import { DockError } from '../protocol/errors.ts';

/**
 * Time as a parameter: the real one is dock/host/system-clock.ts, the simulation brings its own.
 * Wall-clock times are UTC milliseconds since 1970 and end in `At`; deadlines are monotonic milliseconds.
 */
export interface Clock {
  /** Wall clock, UTC milliseconds since 1970, with a fraction where the host has one. May step. */
  now(): number;
  /** Milliseconds since some fixed moment; never steps. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** Randomness as a parameter. */
export interface RandomSource {
  bytes(count: number): Uint8Array;
}

/**
 * Runs `work` with a signal that aborts with `wire.timeout` after `ms`, or when `signal` aborts.
 * The work must honour its signal; this function waits for it to settle.
 */
export async function withDeadline<T>(
  clock: Clock,
  { ms, signal, what }: { ms: number; signal: AbortSignal; what: string },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const combined = new AbortController();
  const timer = new AbortController();
  const onAbort = (): void => combined.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  clock.sleep(ms, timer.signal).then(
    () => combined.abort(new DockError('wire.timeout', `${what} took more than ${ms} ms`)),
    () => undefined,
  );
  try {
    return await work(combined.signal);
  } finally {
    timer.abort();
    signal.removeEventListener('abort', onAbort);
  }
}

/** UUID version 7 (RFC 9562): 48 bits of milliseconds, then random bits, so that ids sort by time. */
export function uuidV7(clock: Clock, random: RandomSource): string {
  const bytes = random.bytes(16);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const ms = Math.max(0, Math.floor(clock.now()));
  view.setUint16(0, Math.floor(ms / 2 ** 32) & 0xffff);
  view.setUint32(2, ms >>> 0);
  view.setUint8(6, 0x70 | (view.getUint8(6) & 0x0f));
  view.setUint8(8, 0x80 | (view.getUint8(8) & 0x3f));
  const hex = Buffer.from(bytes).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
