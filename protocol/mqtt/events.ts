import { z } from 'zod';
import { head } from './head.ts';
import { normItem } from '../norm/editions.ts';
import { serviceReport } from '../norm/service-life.ts';
import { headcountSource } from './documents.ts';

/**
 * Every event a station can report, in order. Those of class `must` are kept until they are delivered, and never
 * dropped. Of class `may` are samples: where too many wait, the oldest are dropped and counted. Times are UTC
 * milliseconds, digests lower-case hex SHA-256.
 */
const serialNumber = z.string();
const bay = z.int();
const sessionId = z.string();
const code = z.string().describe('stable error code, see dockctl explain');
const by = z.string().describe('who or what acted, such as a user name or "automatic"');
const atMs = z.int();
const recording = {
  serialNumber,
  sessionId,
  path: z.string().describe('path on the camera, as read, cut to 1024 characters'),
  sizeBytes: z.string().describe('decimal digits: a camera may state up to 2^64'),
};
const norm = {
  headcount: z.int(),
  quota: z.int(),
  enrolled: z.int().describe('enrolled cameras of the post at that moment, this one not counted'),
  row: z.int(),
  citation: z.string(),
  headcountSource,
  assignmentNumber: z.int().optional().describe('of the assignment that stated the headcount'),
  auditNumber: z.int().optional().describe('of the record of this act in the audit of the post'),
  auditHash: z.string().optional().describe('of that record: all before it follow from it'),
};

export const eventTypes = {
  'agent-started': must({ version: z.string(), bootNumber: z.int() }),
  'agent-stopping': must({}),
  'camera-docked': must({ bay, serialNumber, model: z.string(), firmware: z.string(), sessionId }),
  'camera-undocked': must({ bay, serialNumber, sessionId }),
  'camera-unusable': must({ bay, code, detail: z.string() }),
  'bay-power-cycled': must({ bay, code }),
  'camera-enrolled': must({
    serialNumber,
    by,
    reason: z.string(),
    hasKey: z.boolean(),
    replaces: z.string().optional().describe('serial number of the camera whose place it took'),
    transferredFrom: z.string().optional().describe('department/post'),
    commissionedOn: z.iso.date().optional().describe('start of its service life'),
    ...norm,
  }),
  'enrolment-refused': must({ serialNumber, by, code, reason: z.string(), ...norm }),
  'camera-retired': must({
    serialNumber,
    by,
    cause: z.string(),
    note: z.string(),
    replacedBy: z.string().optional(),
    transferredTo: z.string().optional().describe('department/post'),
    ...norm,
  }),
  'computer-enrolled': must({
    serialNumber,
    by,
    reason: z.string(),
    replaces: z.string().optional().describe('serial number of the computer whose place it took'),
    commissionedOn: z.iso.date().optional().describe('start of its service life'),
    ...norm,
  }),
  'computer-refused': must({ serialNumber, by, code, reason: z.string(), ...norm }),
  'computer-retired': must({
    serialNumber,
    by,
    cause: z.string(),
    note: z.string(),
    replacedBy: z.string().optional(),
    ...norm,
  }),
  'service-life-due': must({
    item: normItem,
    serialNumber,
    commissionedOn: z.iso.date(),
    serviceEndsOn: z.iso.date(),
    months: serviceReport.describe('before the end; 0: it is over. The camera is still emptied'),
    ...norm,
  }),
  'assignment-installed': must({
    by,
    number: z.int(),
    headcount: z.int(),
    issuer: z.string(),
    validFrom: z.iso.datetime(),
    validUntil: z.iso.datetime(),
    sha256: z.string().describe('of the JWS in compact form'),
  }),
  'assignment-refused': must({
    by,
    code,
    detail: z.string(),
    sha256: z.string().describe('of what was given for a JWS'),
  }),
  'health-missing': must({ serialNumber, sessionId, code, detail: z.string() }),
  'clock-measured': must({
    serialNumber,
    sessionId,
    offsetMs: z.number().describe('camera minus station, before anything was set'),
    uncertaintyMs: z.number().describe('half the width of the proven interval'),
    driftPpm: z.number().optional(),
    method: z.string(),
  }),
  'clock-set': must({ serialNumber, sessionId, residualMs: z.number(), uncertaintyMs: z.number() }),
  'clock-not-set': must({ serialNumber, sessionId, code, detail: z.string() }),
  'station-clock-stepped': must({
    stepMs: z
      .int()
      .describe(
        'how far the clock of the station went forward; earlier times of this run are off by as much',
      ),
  }),
  'recording-stored': must({
    ...recording,
    recordingId: z.string(),
    sha256: z.string(),
    storedPath: z.string(),
    cameraDigest: z.enum(['listed', 'computed', 'unknown']).describe('what our digest was compared with'),
  }),
  'recording-repaired': must({
    serialNumber,
    sessionId,
    recordingId: z.string(),
    sha256: z.string(),
    storedPath: z.string(),
    damagedPath: z.string().describe('where the damaged copy was, which this one takes the place of'),
  }),
  'recording-quarantined': must({ ...recording, code, detail: z.string() }),
  'recording-refused': must({ ...recording, code }),
  'recording-removed': must({ serialNumber, sessionId, recordingId: z.string(), sha256: z.string() }),
  'removal-failed': must({ serialNumber, sessionId, recordingId: z.string(), code, detail: z.string() }),
  'session-finished': must({
    bay,
    serialNumber,
    sessionId,
    outcome: z.enum(['complete', 'interrupted', 'refused', 'attention']),
    code: code.optional(),
    listed: z.int(),
    stored: z.int(),
    held: z.int(),
    quarantined: z.int(),
    refused: z.int(),
    unaccounted: z.int().describe('listed but not reached: more than 0 is an alarm'),
    removed: z.int(),
    storedBytes: z.int(),
    startedAt: atMs,
    endedAt: atMs,
  }),
  'vault-problem': must({ code, detail: z.string() }),
  'vault-checked': must({
    verified: z.int().describe('recordings read back and found whole since the last such event'),
    problems: z.int().describe('damaged or missing recordings found since; each has a vault-problem'),
    unknownFiles: z.int().describe('files in the vault that the catalogue does not know'),
    oldestVerifiedAt: atMs
      .optional()
      .describe('of all recordings, when the one waiting longest was last verified'),
  }),
  'database-recovered': must({
    code: code.describe('what was found: state.damaged or state.lost'),
    from: z.enum(['backup', 'vault']).describe('the catalogue is always completed from the vault'),
    detail: z.string(),
    backupTakenAt: atMs.optional(),
    added: z.int().describe('recordings taken into the catalogue from the vault'),
    missing: z.int().describe('recordings whose file is missing or of another size'),
    unreadable: z.int().describe('sidecars that could not be read'),
  }),
  'database-problem': must({ code, detail: z.string() }),
  'database-backed-up': must({ file: z.string(), sizeBytes: z.int() }),
  'register-confirmed': must({ by, enrolled: z.int() }),
  'command-received': must({
    command: z.string(),
    id: z.string(),
    by: z.string().describe('as the sender states; the broker decides who may send'),
    status: z.enum(['ok', 'error']),
    code: code.optional(),
  }),
  'alarm-raised': must({
    code,
    level: z.enum(['warning', 'critical']),
    subject: z.string().describe('a bay or camera, empty where there is only one'),
    detail: z.string(),
  }),
  'alarm-cleared': must({ code, subject: z.string() }),
  'camera-sampled': may({
    serialNumber,
    sessionId,
    batteryPercent: z.number().optional(),
    batteryMillivolts: z.number().optional(),
    batteryCycles: z.number().optional(),
    temperatureCelsius: z.number().optional(),
    storageTotalBytes: z.number().optional(),
    storageFreeBytes: z.number().optional(),
    clockOffsetMs: z.number().optional(),
  }),
  'station-sampled': may({
    vaultFreeBytes: z.int().optional(),
    stateFreeBytes: z.int().optional(),
    memoryAvailableBytes: z.int().optional(),
    agentResidentBytes: z.int().optional(),
    load5: z.number().optional(),
    temperatureCelsius: z.number().optional(),
    clockBoundMs: z.number().optional(),
    waitingEvents: z.int(),
  }),
  'vault-file-adopted': must({ recordingId: z.string(), storedPath: z.string() }),
} as const;

export type EventType = keyof typeof eventTypes;
export type EventData<T extends EventType> = z.output<(typeof eventTypes)[T]['data']>;

/**
 * An event as it is published. `seq` grows with every event of a station. Whoever has seen the event `previousSeq` has
 * missed nothing, also where samples were dropped in between.
 */
export const eventEnvelope = z.object({
  ...head,
  id: z.uuid().describe('UUID version 7: recognises a duplicate'),
  seq: z.int().positive().describe('grows with every event of the station'),
  previousSeq: z.int().nonnegative().describe('of the event before this one, 0 for the first'),
  class: z.enum(['must', 'may']),
  historical: z.boolean().describe('true when it could not be delivered within a minute'),
  type: z.string(),
  data: z.record(z.string(), z.unknown()),
});
export type EventEnvelope = z.output<typeof eventEnvelope>;

export function isEventType(text: string): text is EventType {
  return Object.hasOwn(eventTypes, text);
}

function may<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return { class: 'may' as const, data: z.object(shape) };
}

function must<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return { class: 'must' as const, data: z.object(shape) };
}
