import { DockError, hasCode } from '../../protocol/errors.ts';
import type { CameraClock } from '../../dock/camera/camera.ts';
import type { Clock } from '../../dock/clock.ts';
import type { SessionLog } from '../session/session-log.ts';
import { measureClock, type ClockMeasurement } from './measure.ts';
import { setClock } from './set.ts';
import { earliestStationAt, type StationClockCheck } from './station-clock.ts';

export interface SettleOptions {
  readonly clock: Clock;
  readonly checkStationClock: StationClockCheck;
  readonly toleranceMs: number;
  readonly measureForMs: number;
  /** The last setting of this camera's clock, to know its drift. */
  readonly lastSetting: { setAt: number; residualMs: number; uncertaintyMs: number } | undefined;
  readonly signal: AbortSignal;
}

/** A drift known worse than this says nothing about the clock. */
const widestDriftPpm = 50;

/**
 * Measures a camera's clock, then sets it if it is off and the station's own clock may be given. What is found is
 * written to the session; a clock that cannot be measured or set never stops the session. Errors: `link.closed`.
 */
export async function settleClock(
  camera: CameraClock,
  log: SessionLog,
  options: SettleOptions,
): Promise<void> {
  const { clock, toleranceMs, measureForMs, signal } = options;
  try {
    const before = await measureUnlessUnset(camera, options);
    if (before) {
      log.clockMeasured(before, driftPpm(before, options.lastSetting));
      if (Math.abs(before.offsetMs) + before.uncertaintyMs <= toleranceMs) return;
    }
    const station = await options.checkStationClock();
    if (!station.isTrusted) throw new DockError('clock.station-untrusted', station.evidence);
    // Whatever vouches for it: a camera set to a time that no station can have might not be readable any more.
    if (clock.now() < earliestStationAt)
      throw new DockError('clock.station-untrusted', new Date(clock.now()).toISOString());
    const shortestRoundTripMs = before?.shortestRoundTripMs ?? 0;
    log.clockSet(await setClock(camera, clock, { shortestRoundTripMs, toleranceMs, measureForMs, signal }));
  } catch (error) {
    if (!(error instanceof DockError) || error.disposition === 'reopen') throw error;
    log.clockNotSet(error.code, error.message);
  }
}

async function measureUnlessUnset(
  camera: CameraClock,
  { clock, measureForMs, signal }: SettleOptions,
): Promise<ClockMeasurement | undefined> {
  try {
    return await measureClock(camera, clock, { maxMs: measureForMs, signal });
  } catch (error) {
    if (hasCode(error, 'camera.clock-unset')) return undefined;
    throw error;
  }
}

/** Parts per million that the camera gained since it was set; undefined where the bounds are too wide to tell. */
export function driftPpm(now: ClockMeasurement, last: SettleOptions['lastSetting']): number | undefined {
  if (!last) return undefined;
  const elapsedMs = now.measuredAt - last.setAt;
  if (elapsedMs <= 0) return undefined;
  const boundPpm = ((now.uncertaintyMs + last.uncertaintyMs) / elapsedMs) * 1e6;
  return boundPpm <= widestDriftPpm ? ((now.offsetMs - last.residualMs) / elapsedMs) * 1e6 : undefined;
}
