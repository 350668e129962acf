import { createHash } from 'node:crypto';
import { parsePtpDate } from '../../protocol/ptp/datetime.ts';
import type { ListedRecording, RecordingKind } from '../../dock/camera/camera.ts';
import type { Database, Row } from '../state/database.ts';

/** One stored recording. Times and names are as read from the camera, never corrected. */
export interface CatalogueEntry {
  readonly id: string;
  readonly serialNumber: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly kind: RecordingKind;
  readonly isProtected: boolean;
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly statedTimes?: ListedRecording['statedTimes'];
  readonly sha256: string;
  /** Relative to the vault. */
  readonly storedPath: string;
  readonly storedAt: number;
  readonly sessionId: string;
  readonly clockOffsetMs?: number;
  readonly clockUncertaintyMs?: number;
  readonly clockDriftPpm?: number;
  readonly clockMethod?: string;
  readonly removedAt?: number;
}

/**
 * Recognises a recording of a camera across sessions, whatever id the camera gives it in this one, and whatever its
 * profile says by then of the zone of its clock.
 */
export function sourceKeyOf(serialNumber: string, recording: ListedRecording): string {
  const { path, sizeBytes, startedAt, endedAt, statedTimes } = recording;
  const times = [inKeyZone(startedAt, statedTimes?.captured), inKeyZone(endedAt, statedTimes?.modified)];
  const identity = [serialNumber, path, String(sizeBytes), ...times];
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex');

  function inKeyZone(at: number | undefined, words: string | undefined): number | null {
    if (at === undefined) return null;
    if (!statedTimes || parsePtpDate(words ?? '')?.zoneMinutes !== undefined) return at;
    return at + (statedTimes.zoneMinutes - keyZoneMinutes) * 60_000;
  }
}

/** What a camera leaves open counts in a key as the time of Kazakhstan. Never to be changed: keys are kept. */
const keyZoneMinutes = 300;

/** Reading and marking what the catalogue holds; rows are added by the vault's commit alone. */
export class Catalogue {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** The stored copy of a recording that a camera lists; with a digest in the list, only an equal one. */
  find(sourceKey: string, sha256: string | undefined): CatalogueEntry | undefined {
    const row =
      sha256 === undefined
        ? this.#db.get(
            'SELECT * FROM recording WHERE source_key = ? ORDER BY stored_at DESC LIMIT 1',
            sourceKey,
          )
        : this.#db.get('SELECT * FROM recording WHERE source_key = ? AND sha256 = ?', sourceKey, sha256);
    return row && catalogueEntry(row);
  }

  findRecording(serialNumber: string, recording: ListedRecording): CatalogueEntry | undefined {
    return this.find(sourceKeyOf(serialNumber, recording), recording.sha256);
  }

  get(id: string): CatalogueEntry | undefined {
    const row = this.#db.get('SELECT * FROM recording WHERE id = ?', id);
    return row && catalogueEntry(row);
  }

  /** Newest first. */
  page(filter: {
    serialNumber?: string | undefined;
    limit: number;
    before?: string | undefined;
  }): CatalogueEntry[] {
    const before = filter.before ?? '\uffff';
    const rows = filter.serialNumber
      ? this.#db.all(
          'SELECT * FROM recording WHERE serial_number = ? AND id < ? ORDER BY id DESC LIMIT ?',
          filter.serialNumber,
          before,
          filter.limit,
        )
      : this.#db.all('SELECT * FROM recording WHERE id < ? ORDER BY id DESC LIMIT ?', before, filter.limit);
    return rows.map(catalogueEntry);
  }

  /** Ids in the order of storing, one batch after `after`. */
  idsAfter(after: string, serialNumber: string | undefined, limit: number): string[] {
    const rows = serialNumber
      ? this.#db.all(
          'SELECT id FROM recording WHERE id > ? AND serial_number = ? ORDER BY id LIMIT ?',
          after,
          serialNumber,
          limit,
        )
      : this.#db.all('SELECT id FROM recording WHERE id > ? ORDER BY id LIMIT ?', after, limit);
    return rows.map((row) => String(row['id']));
  }

  count(serialNumber?: string): number {
    const row = serialNumber
      ? this.#db.get('SELECT count(*) AS n FROM recording WHERE serial_number = ?', serialNumber)
      : this.#db.get('SELECT count(*) AS n FROM recording');
    return Number(row?.['n']);
  }
}

export function catalogueEntry(row: Row): CatalogueEntry {
  return {
    id: String(row['id']),
    serialNumber: String(row['serial_number']),
    path: String(row['path']),
    sizeBytes: Number(row['size_bytes']),
    kind: String(row['kind']) as RecordingKind,
    isProtected: row['is_protected'] === 1,
    sha256: String(row['sha256']),
    storedPath: String(row['stored_path']),
    storedAt: Number(row['stored_at']),
    sessionId: String(row['session_id']),
    ...(row['started_at'] !== null && { startedAt: Number(row['started_at']) }),
    ...(row['ended_at'] !== null && { endedAt: Number(row['ended_at']) }),
    ...(typeof row['stated_times'] === 'string' && {
      statedTimes: JSON.parse(row['stated_times']) as NonNullable<ListedRecording['statedTimes']>,
    }),
    ...(row['clock_offset_ms'] !== null && { clockOffsetMs: Number(row['clock_offset_ms']) }),
    ...(row['clock_uncertainty_ms'] !== null && { clockUncertaintyMs: Number(row['clock_uncertainty_ms']) }),
    ...(row['clock_drift_ppm'] !== null && { clockDriftPpm: Number(row['clock_drift_ppm']) }),
    ...(row['clock_method'] !== null && { clockMethod: String(row['clock_method']) }),
    ...(row['removed_at'] !== null && { removedAt: Number(row['removed_at']) }),
  };
}
