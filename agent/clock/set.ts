import type { CameraClock } from '../../dock/camera/camera.ts';
import type { Clock } from '../../dock/clock.ts';
import { DockError, hasCode } from '../../protocol/errors.ts';
import { measureClock, untilTick, type ClockMeasurement } from './measure.ts';

/** Clocks that keep their fraction of a second when set cannot be brought closer than one step. */
const tries = 3;

/**
 * Sets a camera's clock so that the command arrives on the edge of the clock's unit: it is sent at the edge less
 * half the shortest round trip. Then measures again, and tries up to three times. Returns what was measured last.
 * Errors: `camera.clock-unsettled` when the clock does not keep what it was set to; see also measureClock.
 */
export async function setClock(
  camera: CameraClock,
  clock: Clock,
  options: { shortestRoundTripMs: number; toleranceMs: number; measureForMs: number; signal: AbortSignal },
): Promise<ClockMeasurement> {
  const { signal } = options;
  const unitMs = Math.max(camera.resolutionMs, 1);
  let { shortestRoundTripMs } = options;
  for (let attempt = 1; ; attempt++) {
    const waitMs = untilTick({ nowMs: clock.now(), offsetMs: 0, resolutionMs: unitMs, shortestRoundTripMs });
    await clock.sleep(waitMs, signal);
    const arrivesAt = clock.now() + shortestRoundTripMs / 2;
    await camera.set(Math.round(arrivesAt / unitMs) * unitMs, signal).catch(unlessMeasurable);
    const result = await measureClock(camera, clock, { maxMs: options.measureForMs, signal });
    const isClose = Math.abs(result.offsetMs) <= options.toleranceMs + result.uncertaintyMs;
    if (isClose) return result;
    if (attempt >= tries) {
      const isNear = Math.abs(result.offsetMs) <= camera.resolutionMs + result.uncertaintyMs;
      if (isNear) return result; // keeps its own fraction: known, if not zero
      throw new DockError(
        'camera.clock-unsettled',
        `off by ${Math.round(result.offsetMs)} ms after being set`,
      );
    }
    shortestRoundTripMs = Math.min(shortestRoundTripMs, result.shortestRoundTripMs);
  }
}

/** Busy, or an answer that was lost: what the clock shows now tells whether it was set. */
function unlessMeasurable(error: unknown): void {
  if (!hasCode(error, 'smp.busy', 'wire.timeout')) throw error;
}
