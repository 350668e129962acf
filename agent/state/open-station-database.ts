import { copyFileSync, existsSync, renameSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { DatabaseSync, backup } from 'node:sqlite';
import { z } from 'zod';
import { eventTypes, isEventType } from '../../protocol/mqtt/events.ts';
import { asDockError, DockError, hasCode } from '../../protocol/errors.ts';
import type { Clock, RandomSource } from '../../dock/clock.ts';
import { earliestStationAt } from '../clock/station-clock.ts';
import { Outbox } from '../report/outbox.ts';
import { completeCatalogue, type CatalogueCompletion } from '../vault/complete-catalogue.ts';
import type { Disk } from '../vault/disk.ts';
import {
  removeDatabase,
  schemaVersionOf,
  setAside,
  sync,
  type DatabaseBackup,
  type DatabaseBackups,
} from './backups.ts';
import { Database } from './database.ts';
import { migrations } from './migrations.ts';

export interface StationDatabaseParts {
  readonly file: string;
  readonly backups: DatabaseBackups;
  readonly disk: Disk;
  readonly vaultFolder: string;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly signal: AbortSignal;
  readonly onProgress?: (files: number) => void;
}

/** What became of a database that was damaged or gone. */
export interface Recovery extends CatalogueCompletion {
  readonly from: 'backup' | 'vault';
  readonly backup?: DatabaseBackup;
  /** Name of the damaged file, which is kept beside the new one. */
  readonly keptAside?: string;
}

/**
 * Opens the database of the station, whatever became of it. Before an upgrade of the schema it is backed up. A damaged
 * one is kept aside, a lost or damaged one replaced by the newest good backup, or an empty one, and completed from the
 * vault. For the caller that holds the state folder. Errors: `state.too-new`, `state.unusable`, `vault.*`,
 * `state.backup-failed`.
 */
export async function openStationDatabase(parts: StationDatabaseParts): Promise<Database> {
  const { file } = parts;
  if (!existsSync(file)) {
    if (await wasThereOne(parts)) await recoverDatabase(parts, new DockError('state.lost', file));
    return new Database(file);
  }
  try {
    await backUpBeforeUpgrade(parts);
    return new Database(file);
  } catch (error) {
    if (!hasCode(error, 'state.damaged')) throw error;
    await recoverDatabase(parts, asDockError(error));
    return new Database(file);
  }
}

/**
 * Puts a database in place that is made from the newest good backup, or from `only` that; `from: 'vault'` uses none.
 * All is done in another file that gets its name at the end: a crash on the way starts over. What the old one knew
 * later than the backup and the vault does not tell is lost, but for events that can still be read, so the register is in doubt until a person confirms it.
 * Errors: `state.no-backup` for an `only` that cannot be read, `vault.*`.
 */
export async function recoverDatabase(
  parts: StationDatabaseParts,
  reason: DockError,
  choice: { readonly from?: 'vault'; readonly only?: DatabaseBackup } = {},
): Promise<Recovery> {
  const { file, clock, random, disk, vaultFolder, signal, onProgress } = parts;
  const fresh = `${file}.recovering`;
  const candidates = choice.only ? [choice.only] : choice.from === 'vault' ? [] : await parts.backups.list();
  const used = candidates.find((candidate) => isUsable(candidate, fresh));
  if (choice.only && !used) throw new DockError('state.no-backup', choice.only.path);
  if (!used) removeDatabase(fresh);
  let completion: CatalogueCompletion;
  {
    using db = new Database(fresh);
    // A pull that was under way then is over or has no part any more; its file must not be measured by it.
    db.run('DELETE FROM intake');
    await disk.makeFolder(vaultFolder);
    completion = await completeCatalogue(
      { db, disk, folder: vaultFolder },
      { signal, ...(onProgress && { onProgress }) },
    );
    const now = Math.floor(clock.now());
    const { added, missing, unreadable, unknown } = completion;
    db.transaction(() => {
      for (const { seq, id, type, at, data } of waitingEvents(file)) {
        const isNew = db.run(
          `INSERT OR IGNORE INTO event (seq, id, type, at, data, class, total_bytes) VALUES (?, ?, ?, ?, ?, ?,
             coalesce((SELECT total_bytes FROM event WHERE seq < ? ORDER BY seq DESC LIMIT 1), 0) + ?)`,
          seq,
          id,
          type,
          at,
          data,
          eventTypes[type].class,
          seq,
          Buffer.byteLength(data),
        );
        if (isNew)
          db.run('INSERT INTO waiting_event (seq, class) VALUES (?, ?)', seq, eventTypes[type].class);
      }
      skipNumbers(db, now, random);
      db.run(
        `INSERT INTO doubt (matter, since, reason) VALUES ('register', ?, ?) ON CONFLICT DO NOTHING`,
        now,
        `${reason.code}, ${used ? `restored from ${basename(used.path)}` : 'rebuilt from the vault'}`,
      );
      new Outbox(db, clock, random).record('database-recovered', {
        code: reason.code,
        from: used ? 'backup' : 'vault',
        detail: `${reason.message}; ${unknown} unknown files`.slice(0, 500),
        ...(used && { backupTakenAt: used.takenAt }),
        added,
        missing,
        unreadable,
      });
    });
  }
  const keptAside = setAside(file, clock.now());
  sync(fresh);
  renameSync(fresh, file);
  sync(dirname(file));
  return {
    ...completion,
    from: used ? 'backup' : 'vault',
    ...(used && { backup: used }),
    ...(keptAside !== undefined && { keptAside }),
  };
}

const storedEvent = z.object({
  seq: z.int().positive(),
  id: z.uuid(),
  type: z.string().transform((text, context) => {
    if (isEventType(text)) return text;
    context.addIssue('no event');
    return z.NEVER;
  }),
  at: z.int(),
  data: z.string().refine((text) => parsesAsJson(text)),
});

/** What the old database still tells of events that the broker has not had; often all of it. */
function* waitingEvents(file: string): Generator<z.output<typeof storedEvent>> {
  if (!existsSync(file)) return;
  try {
    const db = new DatabaseSync(file, { readOnly: true });
    try {
      const rows = db.prepare(
        schemaVersionOf(db) < 7
          ? 'SELECT seq, id, type, at, data FROM event WHERE acknowledged_at IS NULL ORDER BY seq'
          : 'SELECT seq, id, type, at, data FROM waiting_event JOIN event USING (seq) ORDER BY seq',
      );
      for (const row of rows.iterate()) {
        const { success, data } = storedEvent.safeParse(row);
        if (success) yield data;
      }
    } finally {
      db.close();
    }
  } catch {
    // As far as it can be read.
  }
}

function parsesAsJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A station that starts for the first time has neither backups nor anything in its vault. */
async function wasThereOne({ backups, disk, vaultFolder }: StationDatabaseParts): Promise<boolean> {
  if ((await backups.list()).length > 0) return true;
  await disk.makeFolder(vaultFolder);
  for await (const _ of disk.files(vaultFolder)) return true;
  return false;
}

async function backUpBeforeUpgrade({ file, backups }: StationDatabaseParts): Promise<void> {
  const db = new DatabaseSync(file, { timeout: 2000 });
  try {
    const version = schemaVersionOf(db);
    if (version === 0 || version >= migrations.length) return;
    await backups.take(async (path) => void (await backup(db, path)));
  } catch (error) {
    // Whatever else is wrong with it, opening it tells better.
    if (hasCode(error, 'state.backup-failed', 'state.damaged')) throw error;
  } finally {
    db.close();
  }
}

/** Copies a backup and opens it, which also checks it and brings it to the present schema. */
function isUsable(candidate: DatabaseBackup, fresh: string): boolean {
  try {
    removeDatabase(fresh);
    copyFileSync(candidate.path, fresh);
    new Database(fresh)[Symbol.dispose]();
    return true;
  } catch (error) {
    // A full disk says nothing about the backup.
    if (hasCode(error, 'vault.disk-full')) throw error;
    return false;
  }
}

/**
 * No number is given twice: events and counters go on at the seconds since 1970, which nothing reaches by counting. A
 * clock that has lost the time would lead to the same numbers each time, so that chance has to tell them apart.
 */
function skipNumbers(db: Database, now: number, random: RandomSource): void {
  const lost = (): number => earliestStationAt + 1000 * Buffer.from(random.bytes(3)).readUIntBE(0, 3);
  const first = Math.floor((now < earliestStationAt ? lost() : now) / 1000);
  const known = db.run("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'event'", first);
  if (known === 0) db.run("INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?)", first);
  for (const name of ['boot', 'mqtt-session']) {
    db.run(
      `INSERT INTO counter (name, value) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)`,
      name,
      first,
    );
  }
}
