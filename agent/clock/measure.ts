import type { CameraClock } from '../../dock/camera/camera.ts';
import type { Clock } from '../../dock/clock.ts';
import { DockError } from '../../protocol/errors.ts';

/** Camera minus station, proven: the true offset at `measuredAt` lies within offset ± uncertainty. */
export interface ClockMeasurement {
  readonly offsetMs: number;
  readonly uncertaintyMs: number;
  /** Station time. */
  readonly measuredAt: number;
  /** The shortest time a question and its answer took. */
  readonly shortestRoundTripMs: number;
  readonly reads: number;
  readonly method: 'interval' | 'tick';
}

interface Reading {
  readonly sentMs: number;
  readonly receivedMs: number;
  readonly shownMs: number;
}

/** Reads that only settle how long a round trip takes. */
const firstReads = 4;
const mostReads = 400;
/** A tick-edge read is worth another second only while it can narrow the interval by this share. */
const worthwhileGain = 0.2;
/** Timers of the host are no finer. */
const worthwhileMs = 2;
/** Between reads that wait for a tick: a fast line would spend them all before one comes. */
const readsPerUnit = 250;
/** Of camera and station together: what a reading proves fades by this much. */
const mostDriftPpm = 200;
/** The wall clock of the host shows whole milliseconds, rounded down. */
const nowStepMs = 1;

/**
 * Measures a camera's clock without touching it. Every read that was sent at s, received at e and showed v
 * proves v − e ≤ offset < v + R − s, where R is what the clock's steps hide; the result is the intersection of
 * all reads, each widened by what the clocks may have drifted since. For a clock of whole seconds the reads are aimed at its tick, so that the interval closes to about
 * one round trip instead of a second.
 *
 * Times are taken on the monotonic clock; a step of the station clock meanwhile fails the measurement with
 * `clock.station-untrusted`. Errors also: `camera.clock-unset`, `wire.*`, `link.closed`.
 */
export async function measureClock(
  camera: CameraClock,
  clock: Clock,
  { maxMs, signal }: { maxMs: number; signal: AbortSignal },
): Promise<ClockMeasurement> {
  const anchorMs = clock.now() - clock.monotonic();
  const hostNow = (): number => anchorMs + clock.monotonic();
  const deadline = clock.monotonic() + maxMs;
  const resolutionMs = camera.resolutionMs;
  const isCoarse = resolutionMs > 50;

  let low = -Infinity;
  let high = Infinity;
  let shortestRoundTripMs = Infinity;
  let reads = 0;
  let fadedMs = clock.monotonic();

  const fade = (): void => {
    const driftMs = ((clock.monotonic() - fadedMs) * mostDriftPpm) / 1e6;
    fadedMs = clock.monotonic();
    low -= driftMs;
    high += driftMs;
  };

  const read = async (): Promise<Reading> => {
    const sentMs = hostNow();
    const shownMs = await camera.read(signal);
    const receivedMs = hostNow();
    reads++;
    shortestRoundTripMs = Math.min(shortestRoundTripMs, receivedMs - sentMs);
    fade();
    low = Math.max(low, shownMs - receivedMs);
    high = Math.min(high, shownMs + resolutionMs - sentMs);
    return { sentMs, receivedMs, shownMs };
  };

  for (let count = 0; count < firstReads; count++) await read();

  if (isCoarse) {
    await catchTick(read, { deadline, clock, pauseMs: resolutionMs / readsPerUnit, signal });
    while (low <= high && reads < mostReads) {
      const width = high - low;
      if (width <= Math.max(shortestRoundTripMs * (1 + worthwhileGain), worthwhileMs)) break;
      const waitMs = untilTick({
        nowMs: hostNow(),
        offsetMs: (low + high) / 2,
        resolutionMs,
        shortestRoundTripMs,
      });
      if (clock.monotonic() + waitMs + shortestRoundTripMs > deadline) break;
      await clock.sleep(waitMs, signal);
      await read();
    }
  } else {
    while (reads < 12 && clock.monotonic() < deadline) await read();
  }

  const steppedMs = Math.abs(clock.now() - hostNow());
  if (steppedMs > 50) {
    throw new DockError('clock.station-untrusted', 'the station clock stepped during the measurement');
  }
  if (low > high)
    throw new DockError('camera.clock-unsettled', 'the camera clock jumped during the measurement');
  fade();
  low -= nowStepMs;
  return {
    offsetMs: (low + high) / 2,
    uncertaintyMs: (high - low) / 2 + steppedMs,
    measuredAt: hostNow(),
    shortestRoundTripMs,
    reads,
    method: isCoarse ? 'tick' : 'interval',
  };
}

/** Reads at a steady pace until the shown value changes: the tick lies between the last two reads. */
async function catchTick(
  read: () => Promise<Reading>,
  {
    deadline,
    clock,
    pauseMs,
    signal,
  }: { deadline: number; clock: Clock; pauseMs: number; signal: AbortSignal },
): Promise<void> {
  let last = await read();
  for (const { shownMs } = last; last.shownMs === shownMs && clock.monotonic() < deadline;) {
    const restMs = pauseMs - (last.receivedMs - last.sentMs);
    if (restMs > 0) await clock.sleep(restMs, signal);
    last = await read();
  }
}

/** How long to wait so that a read sent then reaches the camera just at its next tick. */
export function untilTick(facts: {
  nowMs: number;
  offsetMs: number;
  resolutionMs: number;
  shortestRoundTripMs: number;
}): number {
  const arrivesMs = facts.nowMs + facts.shortestRoundTripMs / 2 + facts.offsetMs;
  const pastTickMs = ((arrivesMs % facts.resolutionMs) + facts.resolutionMs) % facts.resolutionMs;
  return facts.resolutionMs - pastTickMs;
}
