import type { z } from 'zod';
import {
  alarmMessage,
  bayMessage,
  cameraMessage,
  healthMessage,
  quotaMessage,
  statusMessage,
} from '../../../protocol/mqtt/documents.ts';

// What the monitor keeps of each document: validated by the contract, times as numbers, texts cut, nothing else, so
// that thousands of stations fit. Undefined for what is not by the contract.

export type StatusState = NonNullable<ReturnType<typeof statusState>>;
export function statusState(json: unknown) {
  const message = parse(statusMessage, json);
  if (!message) return undefined;
  const { ts, state, reason, session, boot, instance, version, lastEventSeq } = message;
  return {
    ts: Date.parse(ts),
    state,
    reason,
    session,
    boot,
    instance: cut(instance),
    version: cut(version),
    lastEventSeq,
  };
}

export type HealthState = NonNullable<ReturnType<typeof healthState>>;
export function healthState(json: unknown) {
  const message = parse(healthMessage, json);
  if (!message) return undefined;
  const { ts, level, problems, codes, clockTrusted, clockBoundMs, vaultFreeBytes } = message;
  const { vaultSecondsUntilFull, temperatureCelsius, registerInDoubt } = message;
  const { waitingEvents, oldestWaitingEventSeconds, lastEventSeq, droppedSamples } = message;
  const { camerasDocked, camerasEnrolled, quota } = message;
  return {
    ts: Date.parse(ts),
    level,
    problems,
    codes: cut(codes),
    isClockTrusted: clockTrusted === 1,
    clockBoundMs,
    vaultFreeBytes,
    vaultSecondsUntilFull,
    temperatureCelsius,
    isRegisterInDoubt: registerInDoubt === 1,
    waitingEvents,
    oldestWaitingEventSeconds,
    lastEventSeq,
    droppedSamples,
    camerasDocked,
    camerasEnrolled,
    quota,
  };
}

export type QuotaState = NonNullable<ReturnType<typeof quotaState>>;
export function quotaState(json: unknown) {
  const message = parse(quotaMessage, json);
  if (!message) return undefined;
  const { ts, headcount, headcountSource, quota, row, enrolled, refused, citation } = message;
  return {
    ts: Date.parse(ts),
    headcount,
    headcountSource,
    quota,
    row,
    enrolled,
    refused,
    citation: cut(citation),
  };
}

export type BayState = NonNullable<ReturnType<typeof bayState>>;
export function bayState(json: unknown) {
  const message = parse(bayMessage, json);
  if (!message) return undefined;
  const { bay, phase, since, serialNumber, code, bytesDone, bytesPlanned } = message;
  return {
    bay,
    phase,
    since: Date.parse(since),
    ...(serialNumber !== undefined && { serialNumber: cut(serialNumber) }),
    ...(code !== undefined && { code: cut(code) }),
    bytesDone,
    bytesPlanned,
  };
}

export type CameraState = NonNullable<ReturnType<typeof cameraState>>;
export function cameraState(json: unknown) {
  const message = parse(cameraMessage, json);
  if (!message) return undefined;
  const { serialNumber, model, enrolment, lastDockedAt, batteryPercent } = message;
  const { clockOffsetMs, clockUncertaintyMs, storageSecondsUntilFull, lastSessionOutcome } = message;
  const { serviceEndsOn } = message;
  return {
    serialNumber: cut(serialNumber),
    model: cut(model),
    enrolment,
    lastDockedAt: Date.parse(lastDockedAt),
    batteryPercent,
    serviceEndsOn,
    clockOffsetMs,
    clockUncertaintyMs,
    storageSecondsUntilFull,
    lastSessionOutcome: lastSessionOutcome === undefined ? undefined : cut(lastSessionOutcome),
  };
}

export type AlarmState = NonNullable<ReturnType<typeof alarmState>>;
export function alarmState(json: unknown) {
  const message = parse(alarmMessage, json);
  if (!message) return undefined;
  const { code, level, since, meaning, nextStep, subjects } = message;
  const [first] = subjects;
  return {
    code: cut(code),
    level,
    since: Date.parse(since),
    meaning: cut(meaning),
    nextStep: cut(nextStep),
    subjects: subjects.length,
    detail: first ? cut(`${first.subject} ${first.detail}`.trim()) : '',
  };
}

const longestText = 200;

/** A copy: a slice would keep all of the text it comes from. */
function cut(text: string): string {
  return text.length <= longestText ? text : Buffer.from(text.slice(0, longestText)).toString();
}

function parse<T extends z.ZodObject>(schema: T, json: unknown): z.output<T> | undefined {
  const parsed = schema.safeParse(json);
  return parsed.success ? parsed.data : undefined;
}
