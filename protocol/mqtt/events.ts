import { z } from 'zod';

/**
 * Every event a station can report: what happened, to be kept and delivered at least once, in order.
 * `must` events are never dropped. Times are UTC milliseconds, digests lower-case hex SHA-256.
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
};

export const eventTypes = {
  'agent-started': must({ version: z.string(), bootNumber: z.int() }),
  'agent-stopping': must({}),
  'camera-docked': must({ bay, serialNumber, model: z.string(), firmware: z.string(), sessionId }),
  'camera-undocked': must({ bay, serialNumber, sessionId }),
  'camera-unusable': must({ bay, code, detail: z.string() }),
  'camera-enrolled': must({ serialNumber, by, reason: z.string(), hasKey: z.boolean(), ...norm }),
  'enrolment-refused': must({ serialNumber, by, code, reason: z.string(), ...norm }),
  'camera-retired': must({ serialNumber, by, cause: z.string(), note: z.string(), ...norm }),
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
  'recording-stored': must({
    ...recording,
    recordingId: z.string(),
    sha256: z.string(),
    storedPath: z.string(),
    cameraDigest: z.enum(['listed', 'computed', 'unknown']).describe('what our digest was compared with'),
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
  'vault-file-adopted': must({ recordingId: z.string(), storedPath: z.string() }),
} as const;

export type EventType = keyof typeof eventTypes;
export type EventData<T extends EventType> = z.output<(typeof eventTypes)[T]['data']>;

/** An event as it is published. `seq` grows by one with every event of a station. */
export const eventEnvelope = z.object({
  v: z.literal(1),
  id: z.uuid().describe('UUID version 7: recognises a duplicate'),
  seq: z.int().positive(),
  ts: z.iso.datetime().describe('RFC 3339, UTC, milliseconds'),
  historical: z.boolean().describe('true when it could not be delivered within a minute'),
  type: z.string(),
  data: z.record(z.string(), z.unknown()),
});
export type EventEnvelope = z.output<typeof eventEnvelope>;

export function isEventType(text: string): text is EventType {
  return Object.hasOwn(eventTypes, text);
}

function must<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return { class: 'must' as const, data: z.object(shape) };
}
