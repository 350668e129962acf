import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GrowingNumbers, nextCount } from '../../agent/state/counters.ts';
import { Database } from '../../agent/state/database.ts';
import { applicationId, migrations } from '../../agent/state/migrations.ts';
import { lockState } from '../../agent/state/state-lock.ts';
import { DockError } from '../../protocol/errors.ts';
import { FaultDatabase } from '../support/fault-database.ts';

// What a station knows must survive a power cut, and a file it cannot trust must stop it with a code that says what
// to do, never be overwritten.

describe('the database', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dock-db-'));
    file = join(folder, 'state', 'station.db');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const coded = (code: string): unknown => expect.objectContaining({ code });
  const count = (db: Database): unknown => db.get('SELECT count(*) AS n FROM counter')?.['n'];

  test('comes up from nothing, in the newest version, durable and recognisable', () => {
    using db = new Database(file);
    expect(db.get('PRAGMA user_version')).toEqual({ user_version: migrations.length });
    expect(db.get('PRAGMA application_id')).toEqual({ application_id: applicationId });
    expect(db.get('PRAGMA journal_mode')).toEqual({ journal_mode: 'wal' });
    expect(db.get('PRAGMA synchronous')).toEqual({ synchronous: 2 });
    expect(db.get('PRAGMA foreign_keys')).toEqual({ foreign_keys: 1 });
    const tables = db.all(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    );
    expect(tables.length).toBeGreaterThan(5);
    for (const { name, sql } of tables) expect(String(sql), String(name)).toMatch(/STRICT/);
  });

  test('keeps what it holds when it is opened again', () => {
    {
      using db = new Database(file);
      expect(nextCount(db, 'boot')).toBe(1);
    }
    using db = new Database(file);
    expect(nextCount(db, 'boot')).toBe(2);
    expect(nextCount(db, 'mqtt-session')).toBe(1);
  });

  test('gives growing numbers over restarts, with a write for a hundred, and in memory when it takes nothing', () => {
    const db = new FaultDatabase(file);
    const numbers = new GrowingNumbers(db, 'mqtt-session');
    const given = Array.from({ length: 100 }, () => numbers.next());
    expect(db.commits).toBe(1);
    db.plan = {
      before: () => {
        throw new DockError('vault.disk-full');
      },
    };
    for (let count = 0; count < 150; count++) given.push(numbers.next());
    expect(given).toEqual(Array.from({ length: 250 }, (_, index) => index + 1));
    db.plan = {};
    for (let count = 0; count < 51; count++) given.push(numbers.next());
    db[Symbol.dispose]();
    using again = new Database(file);
    expect(new GrowingNumbers(again, 'mqtt-session').next()).toBeGreaterThan(given.at(-1) ?? 0);
  });

  test('of a newer version is refused and left as it is', () => {
    new Database(file)[Symbol.dispose]();
    const newer = new DatabaseSync(file);
    newer.exec(`PRAGMA user_version = ${migrations.length + 1}; PRAGMA wal_checkpoint(TRUNCATE)`);
    newer.close();
    const before = readFileSync(file);
    expect(() => new Database(file)).toThrow(coded('state.too-new'));
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test.each([
    ['is no database', (path: string) => writeFileSync(path, 'not a database at all '.repeat(500))],
    ['is cut short', (path: string) => truncateSync(path, 5000)],
    [
      'has a page of noise',
      (path: string) => writeSync(openSync(path, 'r+'), Buffer.alloc(4096, 0xa5), 0, 4096, 8192),
    ],
  ])('whose file %s is refused as damaged', (_what, damage) => {
    new Database(file)[Symbol.dispose]();
    damage(file);
    expect(() => new Database(file)).toThrow(coded('state.damaged'));
  });

  test('rolls back everything of a transaction that fails, nested ones included', () => {
    using db = new Database(file);
    const add = (name: string): number => db.run('INSERT INTO counter VALUES (?, 1)', name);
    expect(() =>
      db.transaction(() => {
        add('outer');
        db.transaction(() => add('inner'));
        throw new Error('late');
      }),
    ).toThrow('late');
    expect(() =>
      db.transaction(() => {
        add('outer');
        db.transaction(() => {
          add('inner');
          throw new Error('deep');
        });
      }),
    ).toThrow('deep');
    expect(count(db)).toBe(0);
    // A failed one does not spoil the next.
    expect(db.transaction(() => db.transaction(() => add('outer')))).toBe(1);
    expect(count(db)).toBe(1);
  });

  test('takes what a statement refuses as an error, and goes on', () => {
    using db = new Database(file);
    expect(() => db.run('INSERT INTO counter VALUES (?, ?)', 'a', 'not a number')).toThrow(
      /cannot store TEXT/,
    );
    expect(() =>
      db.transaction(() => db.run('INSERT INTO removal VALUES (?, 1)', 'no such recording')),
    ).toThrow(/FOREIGN KEY/);
    expect(count(db)).toBe(0);
  });

  test('that is full says so, whichever way the row came in, and nothing is half there', () => {
    using db = new Database(file);
    db.get(`PRAGMA max_page_count = ${String(db.get('PRAGMA page_count')?.['page_count'])}`);
    const large = 'x'.repeat(100_000);
    const insert = 'INSERT INTO counter VALUES (?, 1)';
    expect(() => db.run(insert, large)).toThrow(coded('vault.disk-full'));
    expect(() => db.get(`${insert} RETURNING value`, large)).toThrow(coded('vault.disk-full'));
    expect(() => db.transaction(() => db.run(insert, large))).toThrow(coded('vault.disk-full'));
    expect(count(db)).toBe(0);
    expect(nextCount(db, 'boot')).toBe(1);
  });
});

describe('the state folder', () => {
  test('belongs to one agent at a time, and is free when that one ends or is killed', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dock-lock-'));
    const locked = expect.objectContaining({ code: 'state.locked' });
    const module = new URL('../../agent/state/state-lock.ts', import.meta.url).href;
    const fromOutside = (then: string): string => {
      const script = `import { lockState } from ${JSON.stringify(module)};
        try { lockState(${JSON.stringify(folder)}); console.log('taken'); ${then} }
        catch (error) { console.log(error.code); }`;
      try {
        return execFileSync(process.execPath, ['--input-type=module', '-e', script], {
          encoding: 'utf8',
        }).trim();
      } catch (error) {
        return String((error as { stdout?: string }).stdout).trim();
      }
    };
    {
      using _lock = lockState(folder);
      expect(() => lockState(folder)).toThrow(locked);
      expect(fromOutside('')).toBe('state.locked');
    }
    expect(fromOutside("process.kill(process.pid, 'SIGKILL')")).toBe('taken');
    lockState(folder)[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  });

  test('with a lock file that is no lock file is not mistaken for a locked one', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dock-lock-'));
    writeFileSync(join(folder, 'agent.lock'), 'garbage '.repeat(1000));
    expect(() => lockState(folder)).toThrow(expect.objectContaining({ code: 'state.damaged' }));
    rmSync(folder, { recursive: true });
  });
});
