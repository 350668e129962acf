import { dirname, join } from 'node:path';
import type { ListedRecording } from '../../dock/camera/camera.ts';
import type { Row } from '../state/database.ts';

/** A row of the table intake. */
export interface IntakeRow {
  readonly sourceKey: string;
  readonly recordingId: string;
  readonly sessionId: string;
  readonly recording: ListedRecording;
  readonly storedPath: string;
  readonly durableBytes: number;
  readonly durableSha256: string;
}

export function intakeRow(row: Row): IntakeRow {
  return {
    sourceKey: String(row['source_key']),
    recordingId: String(row['recording_id']),
    sessionId: String(row['session_id']),
    recording: JSON.parse(String(row['recording'])) as ListedRecording,
    storedPath: String(row['stored_path']),
    durableBytes: Number(row['durable_bytes']),
    durableSha256: String(row['durable_sha256']),
  };
}

/** Where the bytes are until they are complete: beside the final name, on the same file system. */
export function partPath(finalPath: string, recordingId: string): string {
  return join(dirname(finalPath), `.part-${recordingId}`);
}

export function isPart(path: string): boolean {
  return /\/\.part-[0-9a-f-]{36}$/.test(path);
}
