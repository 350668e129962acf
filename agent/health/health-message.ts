import type { HealthMessage } from '../../protocol/mqtt/documents.ts';
import type { HealthReport } from './station-health.ts';

/** What central monitoring gets of a report: numbers, and the codes of what is out of order. */
export function healthContent(
  report: HealthReport,
  rest: Pick<
    HealthMessage,
    | 'waitingEvents'
    | 'waitingEventBytes'
    | 'oldestWaitingEventSeconds'
    | 'lastEventSeq'
    | 'droppedSamples'
    | 'camerasDocked'
    | 'camerasEnrolled'
    | 'quota'
    | 'alarms'
  >,
): Omit<HealthMessage, 'v' | 'ts' | 'seq'> {
  const {
    problems,
    bays,
    cameras,
    isClockTrusted,
    registerDoubt,
    isVaultSlow: _____,
    sampledAt: _,
    temperatureSensor: __,
    diskErrorPlaces: ___,
    clockEvidence: ____,
    ...numbers
  } = report;
  const idle = bays.flatMap(({ secondsSinceSuccess }) => secondsSinceSuccess ?? []);
  const untilFull = cameras.flatMap(({ secondsUntilFull }) => secondsUntilFull ?? []);
  return {
    ...numbers,
    problems: problems.length,
    codes: [...new Set(problems.map(({ code }) => code))].join(' '),
    clockTrusted: isClockTrusted ? 1 : 0,
    registerInDoubt: registerDoubt === undefined ? 0 : 1,
    ...rest,
    ...(idle.length > 0 && { longestBayIdleSeconds: Math.max(...idle) }),
    ...(untilFull.length > 0 && { shortestCameraSecondsUntilFull: Math.min(...untilFull) }),
  };
}
