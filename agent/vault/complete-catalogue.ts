import { relative } from 'node:path';
import { asDockError } from '../../protocol/errors.ts';
import type { Database } from '../state/database.ts';
import type { Disk } from './disk.ts';
import { isPart } from './intake-row.ts';
import { insertRecording, readSidecar, recordingOfSidecar, sidecarPath, type Sidecar } from './sidecar.ts';

/** What the vault holds beside what the catalogue knew. */
export interface CatalogueCompletion {
  /** Recordings in the catalogue now. */
  readonly catalogued: number;
  /** Taken into the catalogue. */
  readonly added: number;
  /** Recordings of which only the sidecar is there, or whose file has another size. Not taken in. */
  readonly missing: number;
  /** Sidecars that are none, or damaged. */
  readonly unreadable: number;
  /** Files that neither the catalogue nor a sidecar tells about. They are left alone. */
  readonly unknown: number;
  /** Some of those in the last three, relative to the vault. */
  readonly examples: readonly string[];
}

const mostExamples = 20;

/**
 * Takes into the catalogue what lies in the vault with its sidecar and has no row. Only sizes are looked at: before a
 * recording is removed from its camera, and by the scrub, it is read back. Run again it changes nothing more.
 * Errors: `vault.disk-error`.
 */
export async function completeCatalogue(
  { db, disk, folder }: { db: Database; disk: Disk; folder: string },
  { signal, onProgress }: { signal: AbortSignal; onProgress?: (files: number) => void },
): Promise<CatalogueCompletion> {
  const count = { added: 0, missing: 0, unreadable: 0, unknown: 0 };
  const examples: string[] = [];
  const problem = (kind: 'missing' | 'unreadable' | 'unknown', path: string): void => {
    count[kind]++;
    if (examples.length < mostExamples) examples.push(relative(folder, path));
  };
  let files = 0;
  for await (const path of disk.files(folder)) {
    signal.throwIfAborted();
    onProgress?.(++files);
    const name = relative(folder, path);
    if (isPart(path) || name.startsWith('.') || isCatalogued(db, name)) continue;
    const recording = recordingOfSidecar(path);
    const isOfCatalogued = recording !== undefined && isCatalogued(db, relative(folder, recording));
    if (isOfCatalogued || isUnderWay(db, relative(folder, recording ?? path))) continue;
    // A recording with its sidecar, whatever it is called: the sidecar tells of it.
    if ((await disk.size(sidecarPath(path))) !== undefined) continue;
    if (recording === undefined) {
      problem('unknown', path);
      continue;
    }
    const sidecar = await readSidecar(disk, folder, path).catch((error: unknown) => {
      if (asDockError(error).code !== 'vault.file-missing') throw error;
      return undefined;
    });
    if (!sidecar) problem('unreadable', path);
    else if ((await disk.size(recording)) !== sidecar.sizeBytes) problem('missing', recording);
    else if (add(db, sidecar)) count.added++;
    else problem('unknown', recording);
  }
  const catalogued = Number(db.get('SELECT count(*) AS n FROM recording')?.['n']);
  return { ...count, catalogued, examples };
}

function isCatalogued(db: Database, storedPath: string): boolean {
  return db.get('SELECT 1 FROM recording WHERE stored_path = ?', storedPath) !== undefined;
}

/** Between the link and the catalogue row: a pull that is at it, or one that the start adopts. */
function isUnderWay(db: Database, storedPath: string): boolean {
  return db.get('SELECT 1 FROM intake WHERE stored_path = ?', storedPath) !== undefined;
}

/** False for a second copy of what is catalogued already. */
function add(db: Database, sidecar: Sidecar): boolean {
  const { id, sourceKey, sha256, session, storedAt, sizeBytes } = sidecar;
  return db.transaction(() => {
    const known = db.get(
      'SELECT 1 FROM recording WHERE id = ? OR (source_key = ? AND sha256 = ?)',
      id,
      sourceKey,
      sha256,
    );
    if (known) return false;
    // The account of a session that was lost: what it stored is what is known of it.
    db.run(
      `INSERT INTO docking_session (id, bay, serial_number, started_at, ended_at, outcome, code)
       VALUES (?, ?, ?, ?, ?, 'interrupted', 'state.lost') ON CONFLICT DO NOTHING`,
      session.id,
      session.bay,
      sidecar.serialNumber,
      session.startedAt,
      storedAt,
    );
    db.run(
      `UPDATE docking_session SET listed = listed + 1, stored = stored + 1, stored_bytes = stored_bytes + ?,
         ended_at = max(ended_at, ?) WHERE id = ? AND code = 'state.lost'`,
      sizeBytes,
      storedAt,
      session.id,
    );
    insertRecording(db, sidecar);
    db.run('DELETE FROM intake WHERE source_key = ?', sourceKey);
    db.run('DELETE FROM quarantine WHERE source_key = ?', sourceKey);
    return true;
  });
}
