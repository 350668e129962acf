import { relative } from 'node:path';
import { z } from 'zod';
import type { Database } from '../state/database.ts';
import type { Disk } from './disk.ts';
import type { IntakeRow } from './intake-row.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const atMs = z.number().describe('UTC milliseconds');

/**
 * What the catalogue says of a stored recording, in a file beside it: durable before the recording has its final name,
 * never changed after, and enough to rebuild the catalogue from the vault alone. Fields are only added within v 1.
 */
export const sidecarSchema = z.object({
  v: z.literal(1),
  id: z.uuid(),
  serialNumber: z.string().min(1).max(128),
  sourceKey: sha256.describe('recognises the recording on its camera'),
  sourceId: z.string().describe("the camera's own id of it"),
  path: z.string().describe('on the camera, as read'),
  sizeBytes: z.int().min(0),
  kind: z.enum(['video', 'audio', 'photo', 'other']),
  isProtected: z.boolean(),
  startedAt: atMs.optional().describe("by the camera's clock, as read"),
  endedAt: atMs.optional(),
  statedTimes: z
    .object({ captured: z.string().optional(), modified: z.string().optional(), zoneMinutes: z.number() })
    .optional()
    .describe("the camera's own words for its times"),
  sha256,
  storedPath: z.string().describe('relative to the vault'),
  storedAt: atMs,
  session: z.object({ id: z.uuid(), bay: z.int(), startedAt: atMs }),
  clock: z
    .object({
      offsetMs: z.number(),
      uncertaintyMs: z.number(),
      driftPpm: z.number().optional(),
      method: z.string(),
    })
    .optional()
    .describe('of the camera in that session, before its clock was set'),
});
export type Sidecar = z.output<typeof sidecarSchema>;

const suffix = '.json';
/** A path on a camera may be long; a file of more is none of ours. */
const mostBytes = 1024 * 1024;

export function sidecarPath(finalPath: string): string {
  return `${finalPath}${suffix}`;
}

/** The recording beside which a sidecar would lie; a recording of its own may be called so as well. */
export function recordingOfSidecar(path: string): string | undefined {
  return path.endsWith(suffix) ? path.slice(0, -suffix.length) : undefined;
}

/**
 * What is to be said of a recording whose bytes are complete; its session is in the database. Of one whose stored copy
 * was damaged and that was pulled again, what was said the first time, under its new name.
 */
export function describeRecording(
  db: Database,
  row: IntakeRow,
  { sha256, storedAt }: { sha256: string; storedAt: number },
): Sidecar {
  const known = db.get(
    'SELECT id FROM recording WHERE source_key = ? AND sha256 = ?',
    row.sourceKey,
    sha256,
  )?.['id'];
  const stored = typeof known === 'string' ? describeStored(db, known) : undefined;
  if (stored) return { ...stored, storedPath: row.storedPath };
  const session = db.get('SELECT * FROM docking_session WHERE id = ?', row.sessionId) ?? {};
  const { id, path, sizeBytes, kind, isProtected, startedAt, endedAt, statedTimes } = row.recording;
  return {
    v: 1,
    id: row.recordingId,
    serialNumber: String(session['serial_number']),
    sourceKey: row.sourceKey,
    sourceId: id,
    path,
    sizeBytes: Number(sizeBytes),
    kind,
    isProtected,
    ...(startedAt !== undefined && { startedAt }),
    ...(endedAt !== undefined && { endedAt }),
    ...(statedTimes && { statedTimes }),
    sha256,
    storedPath: row.storedPath,
    storedAt,
    session: {
      id: row.sessionId,
      bay: Number(session['bay']),
      startedAt: Number(session['started_at']),
    },
    ...clockOf(session),
  };
}

/** The same for a recording that is in the catalogue already. */
export function describeStored(db: Database, recordingId: string): Sidecar | undefined {
  const row = db.get('SELECT * FROM recording WHERE id = ?', recordingId);
  if (!row) return undefined;
  const session = db.get('SELECT * FROM docking_session WHERE id = ?', String(row['session_id'])) ?? {};
  const statedTimes = row['stated_times'];
  return sidecarSchema.parse({
    v: 1,
    id: row['id'],
    serialNumber: row['serial_number'],
    sourceKey: row['source_key'],
    sourceId: row['source_id'],
    path: row['path'],
    sizeBytes: row['size_bytes'],
    kind: row['kind'],
    isProtected: row['is_protected'] === 1,
    ...(row['started_at'] !== null && { startedAt: row['started_at'] }),
    ...(row['ended_at'] !== null && { endedAt: row['ended_at'] }),
    ...(typeof statedTimes === 'string' && { statedTimes: JSON.parse(statedTimes) as unknown }),
    sha256: row['sha256'],
    storedPath: row['stored_path'],
    storedAt: row['stored_at'],
    session: { id: row['session_id'], bay: session['bay'], startedAt: session['started_at'] },
    ...clockOf(row),
  });
}

/**
 * Writes it durably; its name is durable with the next sync of the folder. One of an earlier try is replaced.
 * Errors: `vault.disk-full`, `vault.disk-error`.
 */
export async function writeSidecar(disk: Disk, finalPath: string, sidecar: Sidecar): Promise<void> {
  const path = sidecarPath(finalPath);
  await disk.remove(path);
  await using file = await disk.open(path, 'create');
  await file.append(Buffer.from(`${JSON.stringify(sidecar, undefined, 1)}\n`, 'utf8'));
  await file.sync();
}

/** Undefined for what is no sidecar of the recording beside it. Errors: `vault.disk-error`, `vault.file-missing`. */
export async function readSidecar(disk: Disk, folder: string, path: string): Promise<Sidecar | undefined> {
  const sizeBytes = await disk.size(path);
  if (sizeBytes === undefined || sizeBytes > mostBytes) return undefined;
  await using file = await disk.open(path, 'read');
  const buffer = new Uint8Array(sizeBytes);
  const count = await file.read(buffer, 0);
  const parsed = sidecarSchema.safeParse(jsonOf(Buffer.from(buffer.subarray(0, count)).toString('utf8')));
  if (!parsed.success) return undefined;
  return parsed.data.storedPath === relative(folder, recordingOfSidecar(path) ?? path)
    ? parsed.data
    : undefined;
}

/** A row of the catalogue; its session must be there. */
export function insertRecording(db: Database, sidecar: Sidecar): void {
  const { clock } = sidecar;
  db.run(
    `INSERT INTO recording (id, serial_number, source_key, source_id, path, size_bytes, kind, is_protected,
       started_at, ended_at, sha256, stored_path, stored_at, session_id, clock_offset_ms, clock_uncertainty_ms,
       clock_drift_ppm, clock_method, stated_times)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    sidecar.id,
    sidecar.serialNumber,
    sidecar.sourceKey,
    sidecar.sourceId,
    sidecar.path,
    sidecar.sizeBytes,
    sidecar.kind,
    sidecar.isProtected ? 1 : 0,
    sidecar.startedAt ?? null,
    sidecar.endedAt ?? null,
    sidecar.sha256,
    sidecar.storedPath,
    sidecar.storedAt,
    sidecar.session.id,
    clock?.offsetMs ?? null,
    clock?.uncertaintyMs ?? null,
    clock?.driftPpm ?? null,
    clock?.method ?? null,
    sidecar.statedTimes ? JSON.stringify(sidecar.statedTimes) : null,
  );
}

function clockOf(row: Readonly<Record<string, unknown>>): Pick<Sidecar, 'clock'> {
  if (typeof row['clock_offset_ms'] !== 'number') return {};
  return {
    clock: {
      offsetMs: row['clock_offset_ms'],
      uncertaintyMs: Number(row['clock_uncertainty_ms']),
      ...(typeof row['clock_drift_ppm'] === 'number' && { driftPpm: row['clock_drift_ppm'] }),
      method: String(row['clock_method']),
    },
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
