import { z } from 'zod';

/** Retained state documents. All carry version, time and a sequence number of their own. */
const head = {
  v: z.literal(1),
  ts: z.iso.datetime().describe('RFC 3339, UTC, milliseconds'),
  seq: z.int().nonnegative(),
};

/** `status`, also the last will: the will carries `lost` and the session it belongs to. */
export const statusMessage = z.object({
  ...head,
  state: z.enum(['online', 'stopping', 'offline', 'lost']),
  session: z.int().describe('persisted counter, one more with each connection'),
  boot: z.int().describe('persisted counter, one more with each start of the agent'),
  version: z.string(),
});
export type StatusMessage = z.output<typeof statusMessage>;

export const bayPhases = [
  'empty',
  'identifying',
  'enrolling',
  'clock',
  'listing',
  'pulling',
  'removing',
  'ready',
  'refused',
  'attention',
] as const;
export type BayPhase = (typeof bayPhases)[number];

/** `bay/{n}`: what is in the bay and what is being done. */
export const bayMessage = z.object({
  ...head,
  bay: z.int(),
  phase: z.enum(bayPhases),
  serialNumber: z.string().optional(),
  code: z.string().optional().describe('why it is refused or needs attention'),
  detail: z.string().optional(),
  recordingsDone: z.int(),
  recordingsListed: z.int(),
  bytesDone: z.int(),
  bytesPlanned: z.int(),
  bytesPerSecond: z.int(),
});
export type BayMessage = z.output<typeof bayMessage>;

/** `camera/{serial}`: what was last known of a camera. */
export const cameraMessage = z.object({
  ...head,
  serialNumber: z.string(),
  model: z.string(),
  firmware: z.string(),
  enrolment: z.enum(['enrolled', 'retired', 'not-enrolled']),
  hasKey: z.boolean(),
  lastDockedAt: z.iso.datetime(),
  batteryPercent: z.number().optional(),
  batteryMillivolts: z.number().optional(),
  batteryCycles: z.number().optional(),
  uptimeSeconds: z.number().optional(),
  errorCounters: z.record(z.string(), z.number()).optional(),
  isCharging: z.boolean().optional(),
  temperatureCelsius: z.number().optional(),
  storageTotalBytes: z.number().optional(),
  storageFreeBytes: z.number().optional(),
  clockOffsetMs: z.number().optional(),
  clockUncertaintyMs: z.number().optional(),
  clockDriftPpm: z.number().optional(),
});
export type CameraMessage = z.output<typeof cameraMessage>;

/** `quota`: the norm of the post and how much of it is used. */
export const quotaMessage = z.object({
  ...head,
  headcount: z.int(),
  headcountSource: z.enum(['configuration']),
  quota: z.int(),
  row: z.int(),
  enrolled: z.int(),
  refused: z.int().describe('cameras refused so far and not enrolled since'),
  citation: z.string(),
});
export type QuotaMessage = z.output<typeof quotaMessage>;
