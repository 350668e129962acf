import { hasCode } from '../../protocol/errors.ts';
import { ptpResponse } from '../../protocol/ptp/codes.ts';
import type { Clock } from '../clock.ts';
import type { PtpExchange } from './ptp-exchange.ts';
import type { PtpPipe } from './ptp-pipe.ts';
import type { PtpTimings } from './ptp-timings.ts';

/**
 * What is done before a session is opened, gentlest first; the next rung is for when that fails. What helps nothing
 * any more is the caller's: switch the port off and on, or call the bay faulty.
 */
export const recoveryLadder = [
  'peek',
  'drain',
  'reopen',
  'reopen',
  'reopen',
  'port reset',
  'class reset',
] as const;

/** Twice the longest window. */
const mostUncancelledBytes = 8 * 1024 * 1024;

export interface RecoveryParts {
  readonly pipe: PtpPipe;
  readonly clock: Clock;
  readonly timings: PtpTimings;
  readonly exchange: PtpExchange;
  /** The last one used: what a cancel names. */
  readonly transactionId: number;
  readonly signal: AbortSignal;
}

/** One rung. Afterwards the pipe is at rest, as far as the device lets it. Errors: `link.closed`, `usb.*`. */
export async function climb(rung: (typeof recoveryLadder)[number], parts: RecoveryParts): Promise<void> {
  const { pipe, clock, timings, exchange, signal } = parts;
  const { brokenOff } = exchange;
  switch (rung) {
    case 'peek':
      await clearLeftover(parts);
      break;
    case 'drain':
      // A device that takes no command is in the middle of something. One that merely did not answer is at rest, and
      // old umtprd leaves the bus when it is cancelled then.
      if (brokenOff === 'out') await cancel(parts);
      await drain(parts);
      break;
    case 'reopen':
      await pipe.release();
      try {
        await clock.sleep(timings.reopenPauseMs, signal);
      } finally {
        await pipe.claim();
      }
      await clearLeftover(parts);
      break;
    case 'port reset':
      await pipe.reset();
      // Old umtprd resumes its stale data even after a reset.
      await clearLeftover(parts);
      break;
    case 'class reset':
      await pipe.classReset();
      await clearLeftover(parts);
      break;
  }
  exchange.restart();
}

/**
 * What a dead host or a broken transaction left in the pipe is read away. A window of a recording ends by itself, and
 * then the device is at rest and must not be cancelled; only what goes on beyond that is. A fresh camera hears nothing.
 */
async function clearLeftover(parts: RecoveryParts): Promise<void> {
  const found = await peek(parts);
  if (found === 'nothing') return;
  if (found === 'bytes' && (await drain(parts, mostUncancelledBytes))) return;
  if (found === 'stall') await parts.pipe.clearHalt('in').catch(throwIfGone);
  await cancel(parts);
  await drain(parts);
}

/** Never parsed: these may be bytes of a recording. */
async function peek({ pipe, timings }: RecoveryParts): Promise<'nothing' | 'bytes' | 'stall'> {
  try {
    await pipe.read(pipe.maxPacketBytes, timings.peekMs);
    return 'bytes';
  } catch (error) {
    if (hasCode(error, 'wire.timeout')) return 'nothing';
    if (hasCode(error, 'usb.stall')) return 'stall';
    throw error;
  }
}

async function cancel({ pipe, clock, timings, exchange, transactionId }: RecoveryParts): Promise<void> {
  // QEMU's responder halts it when a command comes while a transfer is pending.
  if (exchange.brokenOff === 'out') await pipe.clearHalt('out').catch(throwIfGone);
  await pipe.cancel(transactionId).catch(throwIfGone);
  const until = clock.monotonic() + timings.cancelForMs;
  while (clock.monotonic() < until) {
    const status = await pipe.status().catch(throwIfGone);
    if (status !== ptpResponse.deviceBusy) return;
    await clock.sleep(timings.cancelPollMs);
  }
}

/** Reads until nothing has come for a while; false when more than `mostBytes` came before. */
async function drain(
  { pipe, clock, timings, signal }: RecoveryParts,
  mostBytes = Infinity,
): Promise<boolean> {
  const until = clock.monotonic() + timings.drainForMs;
  for (let drainedBytes = 0; drainedBytes < mostBytes && clock.monotonic() < until;) {
    signal.throwIfAborted();
    try {
      const { bytes } = await pipe.read(pipe.longestReadBytes, timings.quietMs);
      drainedBytes += bytes.length;
    } catch (error) {
      throwIfGone(error);
      if (!hasCode(error, 'usb.stall')) return true;
      await pipe.clearHalt('in').catch(throwIfGone);
    }
  }
  return false;
}

function throwIfGone(error: unknown): undefined {
  if (hasCode(error, 'link.closed')) throw error;
  return undefined;
}
