import { z } from 'zod';
import { maxAssignmentChars } from '../norm/assignment.ts';
import { head } from './head.ts';

/** Retained state: who subscribes late knows everything at once. Only numbers that are known are there. */

/** `status`, also the last will: the will carries `lost` and the session it belongs to. */
export const statusMessage = z.object({
  ...head,
  state: z.enum(['online', 'stopping', 'offline', 'lost']),
  reason: z
    .enum(['start', 'reconnect', 'shutdown', 'connection-lost'])
    .describe('why the state is what it is; a will says connection-lost'),
  session: z
    .int()
    .describe('grows with each connection, also over restarts: a will of an earlier one is out of date'),
  boot: z.int().describe('persisted counter, one more with each start of the agent'),
  instance: z.string().describe('drawn at each start: another one under this name is a second station'),
  version: z.string().describe('of the agent'),
  lastEventSeq: z
    .int()
    .describe('of the newest event when the message was made; an older one that never came is a gap'),
});
export type StatusMessage = z.output<typeof statusMessage>;

/** `info`, the birth certificate: what the station is made of. */
export const infoMessage = z.object({
  ...head,
  version: z.string().describe('of the agent'),
  node: z.string().describe('version of the runtime'),
  system: z.string().describe('operating system and its release'),
  architecture: z.string(),
  machine: z.string().optional().describe('product name by the firmware of the machine'),
  boot: z.int(),
  startedAt: z.iso.datetime(),
  configHash: z.string().describe('SHA-256 of the effective configuration, lower-case hex'),
  protocolVersion: z.literal([4, 5]).describe('of MQTT: 5, or 4 for 3.1.1'),
  schemas: z.array(z.string()).describe('ids of the schemas this station speaks'),
  capabilities: z.array(z.string()).describe('what it can do: command names, removal, power-cycle'),
  bays: z.array(
    z.object({
      bay: z.int(),
      kind: z.enum(['usb', 'serial']),
      port: z.string().describe('physical port or device path'),
    }),
  ),
});
export type InfoMessage = z.output<typeof infoMessage>;

export const bayPhases = [
  'empty',
  'charging',
  'identifying',
  'enrolling',
  'clock',
  'listing',
  'pulling',
  'removing',
  'ready',
  'refused',
  'attention',
  'quarantined',
  'paused',
] as const;
export type BayPhase = (typeof bayPhases)[number];

/** `bay/{n}`: what is in the bay and what is being done. */
export const bayMessage = z.object({
  ...head,
  bay: z.int(),
  phase: z.enum(bayPhases),
  since: z.iso.datetime().describe('when it came into this phase'),
  serialNumber: z.string().optional(),
  code: z.string().optional().describe('why it is refused or needs attention'),
  detail: z.string().optional(),
  identifyUntil: z.iso.datetime().optional().describe('until then the bay shows itself, as it was asked to'),
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
  storageSecondsUntilFull: z.number().optional().describe('at the pace of its last weeks'),
  lastSessionOutcome: z.string().optional(),
  commissionedOn: z.iso.date().optional().describe('start of its service life'),
  serviceEndsOn: z.iso.date().optional().describe('end of its service life by the norm'),
});
export type CameraMessage = z.output<typeof cameraMessage>;

/** Who stated the headcount: a signed post assignment, or the configuration of the station, which nobody signs. */
export const headcountSource = z.enum(['unsigned', 'assignment']);

/** `quota`: the norm of the post and how much of it is used. Citation: the order and its row. */
export const quotaMessage = z.object({
  ...head,
  headcount: z.int(),
  headcountSource,
  assignment: z
    .object({
      number: z.int(),
      issuer: z.string(),
      validFrom: z.iso.datetime(),
      validUntil: z.iso.datetime(),
    })
    .optional()
    .describe('in force; absent where the headcount is unsigned, or nothing is installed yet'),
  quota: z.int(),
  row: z.int(),
  enrolled: z.int(),
  refused: z.int().describe('cameras refused so far and not enrolled since'),
  citation: z.string(),
  audit: z
    .object({ records: z.int(), hash: z.string() })
    .optional()
    .describe('end of the chain of all acts on the register: who keeps it notices a change of any before it'),
  copiedAt: z.iso
    .datetime()
    .optional()
    .describe('the register does not answer: this is the copy of the station, as of then'),
});
export type QuotaMessage = z.output<typeof quotaMessage>;

/** `assignment`: the post assignment that is meant for the post of this station, signed; see post-assignment. */
export const assignmentMessage = z.object({
  v: z.literal(1),
  ts: head.ts.optional().describe('when it was put there; the signed one has times of its own'),
  seq: head.seq.optional().describe('number of the assignment'),
  assignment: z.string().min(1).max(maxAssignmentChars).describe('JWS in compact form, EdDSA over Ed25519'),
});
export type AssignmentMessage = z.output<typeof assignmentMessage>;

/** `health`: the station's own health, every period. Flat, so that any collector can read it; what is unknown is absent. */
export const healthMessage = z.object({
  ...head,
  level: z.enum(['ok', 'warning', 'critical']),
  problems: z.int(),
  codes: z.string().describe('of the problems, with blanks between, critical first'),
  vaultFreeBytes: z.int().optional(),
  vaultTotalBytes: z.int().optional(),
  vaultBytesPerDay: z.int().optional().describe('mean of the last two weeks'),
  vaultSecondsUntilFull: z.int().optional(),
  stateFreeBytes: z.int().optional(),
  stateTotalBytes: z.int().optional(),
  memoryTotalBytes: z.int().optional(),
  memoryAvailableBytes: z.int().optional(),
  agentResidentBytes: z.int().optional(),
  load5: z.number().optional(),
  processors: z.int().optional(),
  temperatureCelsius: z.number().optional().describe('of the hottest sensor'),
  diskErrors: z.int().optional(),
  smartFailingDisks: z.int().optional(),
  smartBadSectors: z.int().optional(),
  smartWearPercent: z.number().optional(),
  clockTrusted: z.literal([0, 1]),
  clockBoundMs: z.number().optional(),
  lineFaults: z.int().describe('failures between bays and cameras, ever'),
  backupAgeSeconds: z.int().optional(),
  registerInDoubt: z.literal([0, 1]),
  waitingEvents: z.int().describe('events that are not delivered yet'),
  waitingEventBytes: z.int(),
  oldestWaitingEventSeconds: z.int().optional(),
  lastEventSeq: z.int(),
  droppedSamples: z.int().describe('events of class may that were dropped, ever'),
  camerasDocked: z.int(),
  camerasEnrolled: z.int(),
  quota: z.int(),
  alarms: z.int(),
  longestBayIdleSeconds: z
    .int()
    .optional()
    .describe('since the last successful session, of the bays that had one'),
  shortestCameraSecondsUntilFull: z.int().optional(),
});
export type HealthMessage = z.output<typeof healthMessage>;

/** `alarm/{code}`: there while it lasts; an empty payload clears it. */
export const alarmMessage = z.object({
  ...head,
  code: z.string(),
  level: z.enum(['warning', 'critical']),
  since: z.iso.datetime(),
  meaning: z.string().describe('one clause, English'),
  nextStep: z.string().describe('what a person does now, English'),
  subjects: z
    .array(z.object({ subject: z.string(), detail: z.string() }))
    .describe(
      'which bays or cameras, with particulars; the subject is empty where there is only one. At most 100',
    ),
});
export type AlarmMessage = z.output<typeof alarmMessage>;
