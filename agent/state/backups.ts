import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { DockError } from '../../protocol/errors.ts';
import type { Clock } from '../../dock/clock.ts';

/** A whole copy of the database in one file. */
export interface DatabaseBackup {
  readonly path: string;
  /** UTC milliseconds, whole seconds. */
  readonly takenAt: number;
  readonly schemaVersion: number;
  readonly sizeBytes: number;
}

const namePattern = /^station-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-v(\d+)\.db$/;

/** Where the backups of a station lie: on the disk of the vault, so that each disk can be lost without the other. */
export function backupFolderOf(vaultFolder: string): string {
  return join(vaultFolder, '.database');
}

/**
 * The backups of one station. What is in the folder under the name of a backup was whole when it got that name. The
 * disk may not answer for long: nothing here makes others wait for it.
 */
export class DatabaseBackups {
  readonly folder: string;
  readonly #keep: number;
  readonly #clock: Clock;

  constructor(options: { folder: string; keep: number; clock: Clock }) {
    this.folder = options.folder;
    this.#keep = options.keep;
    this.#clock = options.clock;
  }

  /** Newest first; none where the folder cannot be read. */
  async list(): Promise<DatabaseBackup[]> {
    const names = await readdir(this.folder).catch(() => []);
    const backups = await Promise.all(names.map((name) => this.#backupOf(name)));
    return backups
      .filter((backup) => backup !== undefined)
      .toSorted((a, b) => b.takenAt - a.takenAt || b.schemaVersion - a.schemaVersion);
  }

  /**
   * Has a copy made, checks all of it, and keeps it: synced, renamed, folder synced. The check is also one of the
   * database, whose pages were copied as they are. Errors: `state.backup-failed`, `state.damaged`.
   */
  async take(copyTo: (path: string) => Promise<void>): Promise<DatabaseBackup> {
    const temporary = join(this.folder, '.station.new');
    try {
      // Not the vault itself: where that is missing, its disk is not mounted.
      await mkdir(this.folder, { mode: 0o750 }).catch(ignoreExisting);
      await removeTemporary(temporary);
      await copyTo(temporary);
      const { schemaVersion, problems } = await checkAside(temporary);
      if (problems.length > 0) throw new DockError('state.damaged', problems.join('; ').slice(0, 500));
      const takenAt = Math.floor(this.#clock.now() / 1000) * 1000;
      const stamp = new Date(takenAt).toISOString().slice(0, 19).replace(/[-:]/g, '');
      const path = join(this.folder, `station-${stamp}Z-v${schemaVersion}.db`);
      const { size } = await stat(temporary);
      await syncAside(temporary);
      await rename(temporary, path);
      await syncAside(this.folder);
      await this.#prune();
      return { path, takenAt, schemaVersion, sizeBytes: size };
    } catch (cause) {
      await removeTemporary(temporary);
      if (cause instanceof DockError) throw cause;
      throw new DockError('state.backup-failed', cause instanceof Error ? cause.message : this.folder, {
        cause,
      });
    }
  }

  /** Of the newest schema so many as are kept, of each older one the last: the way back from an upgrade. */
  async #prune(): Promise<void> {
    const all = await this.list();
    const newest = all[0]?.schemaVersion;
    const kept = new Set(all.filter(({ schemaVersion }) => schemaVersion === newest).slice(0, this.#keep));
    for (const backup of all) {
      const isLastOfItsSchema = !all
        .slice(0, all.indexOf(backup))
        .some(({ schemaVersion }) => schemaVersion === backup.schemaVersion);
      if (!kept.has(backup) && !isLastOfItsSchema) await rm(backup.path, { force: true });
    }
  }

  async #backupOf(name: string): Promise<DatabaseBackup | undefined> {
    const [, year, month, day, hour, minute, second, version] = (namePattern.exec(name) ?? []).map(Number);
    if (version === undefined) return undefined;
    const path = join(this.folder, name);
    const takenAt = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second);
    const found = await stat(path).catch(() => undefined);
    return found && { path, takenAt, schemaVersion: version, sizeBytes: found.size };
  }
}

/** Everything that SQLite can find wrong with a database file: structure, indexes, references. At most ten lines. */
export function checkCopy(path: string): { schemaVersion: number; problems: string[] } {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path);
    // One file, without a write-ahead log beside it.
    db.exec('PRAGMA journal_mode = DELETE');
    return { schemaVersion: schemaVersionOf(db), problems: problemsOf(db) };
  } catch (error) {
    return { schemaVersion: 0, problems: [error instanceof Error ? error.message : String(error)] };
  } finally {
    db?.close();
  }
}

/** The same in a thread of its own, while the agent goes on. */
function checkAside(path: string): Promise<ReturnType<typeof checkCopy>> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('check-copy-worker.ts', import.meta.url), { workerData: path });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the check ended without an answer')));
  });
}

export function problemsOf(db: DatabaseSync): string[] {
  const integrity = db
    .prepare('PRAGMA integrity_check(10)')
    .all()
    .map((row) => String(row['integrity_check']));
  const references = db
    .prepare('PRAGMA foreign_key_check')
    .all()
    .slice(0, 10)
    .map((row) => `${String(row['table'])} refers to a row of ${String(row['parent'])} that is not there`);
  return [...integrity.filter((line) => line !== 'ok'), ...references];
}

export function schemaVersionOf(db: DatabaseSync): number {
  return Number(db.prepare('PRAGMA user_version').get()?.['user_version']);
}

const fileEnds = ['', '-wal', '-shm'];

/**
 * Moves a database that is not to be used any more out of the way, with what belongs to it: a log left behind would be
 * taken for one of the next. Gives its new name; undefined when nothing was there.
 */
export function setAside(file: string, at: number): string | undefined {
  const ends = fileEnds.filter((end) => existsSync(file + end));
  if (ends.length === 0) return undefined;
  const stamp = new Date(at).toISOString().slice(0, 19).replace(/[-:]/g, '');
  const base = `${file}.damaged-${stamp}Z`;
  let aside = base;
  for (let n = 2; fileEnds.some((end) => existsSync(aside + end)); n++) aside = `${base}-${n}`;
  // The database first: without its log it would pass for an older state of itself.
  for (const end of ends) renameSync(file + end, aside + end);
  sync(dirname(file));
  return basename(aside);
}

export function removeDatabase(file: string): void {
  for (const end of fileEnds) rmSync(file + end, { force: true });
}

async function removeTemporary(file: string): Promise<void> {
  for (const end of fileEnds) await rm(file + end, { force: true }).catch(() => undefined);
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
}

async function syncAside(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

/** Makes a file, or the names in a folder, survive a power cut. */
export function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
