// A station is upgraded over years: from each schema that was ever released, everything it knew is there afterwards.
import { ChainCheck, type AuditLink } from '../../agent/enrolment/audit-chain.ts';
import { auditRecord } from '../../protocol/norm/audit-record.ts';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../dock/host/system-clock.ts';
import { DatabaseBackups, problemsOf } from '../../agent/state/backups.ts';
import { Database } from '../../agent/state/database.ts';
import { migrations } from '../../agent/state/migrations.ts';
import { openStationDatabase } from '../../agent/state/open-station-database.ts';
import { Catalogue } from '../../agent/vault/catalogue.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';
import { systemRandom } from '../../dock/host/system-clock.ts';

const versions = migrations.map((_, index) => index + 1);
const fixture = (version: number): string =>
  readFileSync(new URL(`databases/v${version}.sql`, import.meta.url), 'utf8');

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dock-upgrade-'));
  file = join(folder, 'station.db');
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(version: number): void {
  const db = new DatabaseSync(file);
  db.exec(fixture(version));
  db.close();
}

/** Every row of every table, with the columns it has. */
function contents(path: string): Map<string, Record<string, unknown>[]> {
  const db = new DatabaseSync(path, { readOnly: true });
  const tables = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .all();
  const all = tables.map(({ name }): [string, Record<string, unknown>[]] => [
    String(name),
    db.prepare(`SELECT * FROM ${String(name)}`).all(),
  ]);
  db.close();
  return new Map(all);
}

test.each(versions)('schema %i becomes the newest with every value it held', (version) => {
  write(version);
  const before = contents(file);
  expect(before.size).toBeGreaterThan(8);
  new Database(file)[Symbol.dispose]();
  const after = contents(file);
  // Since version 8 a chain of records.
  const decisions = before.get('enrolment_decision');
  before.delete('enrolment_decision');
  if (decisions) {
    const records = after.get('audit')?.map(({ record }) => auditRecord.parse(JSON.parse(String(record))));
    const same = decisions.map(({ decision, serial_number, by, reason, headcount, quota, decided_at }) => ({
      act: decision,
      serialNumber: serial_number,
      by,
      reason,
      headcount,
      quota,
      at: new Date(Number(decided_at)).toISOString(),
    }));
    expect(records).toMatchObject(same);
    expect(records).toHaveLength(decisions.length);
    const chain = new ChainCheck();
    for (const link of after.get('audit') ?? []) chain.accept(link as unknown as AuditLink);
    expect(chain.problem).toBeUndefined();
  }
  for (const [table, rows] of before) {
    expect(rows.length, `${table} has a row in the fixture`).toBeGreaterThan(0);
    // Since version 7 a table of its own.
    const kept = rows.map((row) => Object.entries(row).filter(([column]) => column !== 'acknowledged_at'));
    expect(after.get(table), table).toMatchObject(kept.map((row) => Object.fromEntries(row)));
    expect(after.get(table), table).toHaveLength(rows.length);
  }
  const waiting =
    before.get('waiting_event') ?? before.get('event')?.filter((row) => row['acknowledged_at'] === null);
  expect(after.get('waiting_event')).toMatchObject(waiting?.map(({ seq }) => ({ seq })) ?? []);
  expect(after.get('waiting_event')).toHaveLength(waiting?.length ?? 0);
  const db = new DatabaseSync(file);
  expect(problemsOf(db)).toEqual([]);
  expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: migrations.length });
  const shape = (of: DatabaseSync): unknown =>
    of.prepare('SELECT type, name FROM sqlite_schema ORDER BY name').all();
  using fresh = new Database(join(folder, 'fresh.db'));
  expect(shape(db)).toEqual(fresh.all('SELECT type, name FROM sqlite_schema ORDER BY name'));
  db.close();
});

test.each(versions)('what schema %i held is read by the agent of today', (version) => {
  write(version);
  using db = new Database(file);
  const [entry] = new Catalogue(db).page({ limit: 10 });
  expect(entry).toMatchObject({
    path: "/DCIM/REC'0001.MP4",
    sizeBytes: 5_000_000_000,
    isProtected: true,
    clockOffsetMs: -1250.5,
  });
  expect(entry?.statedTimes?.zoneMinutes).toBe(version >= 2 ? 300 : undefined);
});

test('before an upgrade the database is backed up as it was, and the newest needs none', async () => {
  write(1);
  const backups = new DatabaseBackups({ folder: join(folder, 'backups'), keep: 3, clock: systemClock });
  const before = contents(file);
  const open = (): Promise<Database> =>
    openStationDatabase({
      file,
      backups,
      disk: nodeDisk,
      vaultFolder: join(folder, 'vault'),
      clock: systemClock,
      random: systemRandom,
      signal: new AbortController().signal,
    });
  (await open())[Symbol.dispose]();
  const [backup, ...others] = await backups.list();
  expect(others).toEqual([]);
  expect(backup?.schemaVersion).toBe(1);
  expect(contents(backup?.path ?? '')).toEqual(before);
  (await open())[Symbol.dispose]();
  expect(await backups.list()).toHaveLength(1);
});
