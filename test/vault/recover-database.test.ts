// The database can be damaged or gone while the vault is whole: the station must come back by itself with every
// recording in its catalogue, and must not enrol anybody on a register that may have forgotten some.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { DockError } from '../../protocol/errors.ts';
import type { ListedRecording } from '../../dock/camera/camera.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { unsignedHeadcount } from '../../agent/enrolment/headcount.ts';
import { auditRecord } from '../../protocol/norm/audit-record.ts';
import { SqliteRegister } from '../../agent/enrolment/sqlite-register.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { backupFolderOf, DatabaseBackups } from '../../agent/state/backups.ts';
import { Database } from '../../agent/state/database.ts';
import {
  openStationDatabase,
  recoverDatabase,
  type StationDatabaseParts,
} from '../../agent/state/open-station-database.ts';
import { pruneHistory } from '../../agent/state/prune.ts';
import type { Row } from '../../agent/state/database.ts';
import { Scrub } from '../../agent/vault/scrub.ts';
import { ByteCamera } from '../support/byte-camera.ts';
import { VaultBench } from './vault-bench.ts';

class LostBench extends VaultBench {
  readonly file = join(this.folder, 'station.db');
  readonly backups = new DatabaseBackups({
    folder: backupFolderOf(this.vaultFolder),
    keep: 3,
    clock: systemClock,
  });

  backUp(): Promise<unknown> {
    return this.backups.take((path) => this.db.copyTo(path));
  }

  /** Closes what is open, does harm, opens the way the agent does. */
  async reopen(harm: (file: string) => void): Promise<void> {
    this.db[Symbol.dispose]();
    harm(this.file);
    (await this.open())[Symbol.dispose]();
    await this.startAgain();
  }

  parts(): StationDatabaseParts {
    const { file, backups, disk, vaultFolder, clock, signal } = this;
    return { file, backups, disk, vaultFolder, clock, random: systemRandom, signal };
  }

  open(): Promise<Database> {
    return openStationDatabase(this.parts());
  }

  /** The catalogue without what a vault cannot tell. */
  rows(): Row[] {
    const rows = this.db.all('SELECT * FROM recording ORDER BY id');
    for (const row of rows) {
      delete row['removed_at'];
      delete row['verified_at'];
    }
    return rows;
  }

  recovered(): unknown {
    return this.outbox.latest(1000).find(({ type }) => type === 'database-recovered')?.data;
  }
}

const lost = (file: string): void => {
  for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true });
};
const damaged = (file: string): void => writeFileSync(file, Buffer.alloc(20_000, 0xa5));
const cut = (file: string): void => truncateSync(file, 5000);

async function stationWithTwo(): Promise<{ bench: LostBench; camera: ByteCamera; first: ListedRecording }> {
  const bench = new LostBench();
  const camera = new ByteCamera();
  const first = camera.add('/DCIM/A.MP4', 300_000, { startedAt: 1_763_820_000_000 });
  await bench.dock(camera);
  await bench.backUp();
  camera.add('/DCIM/notes.json', 4000);
  await bench.dock(camera);
  return { bench, camera, first };
}

describe('a database that is', () => {
  test.each([
    ['gone', lost],
    ['noise', damaged],
    ['cut short', cut],
  ])('%s is replaced by its backup, completed from the vault', async (_name, harm) => {
    const { bench, camera } = await stationWithTwo();
    using _ = bench;
    const before = bench.rows();
    const lastSeq = bench.outbox.latest(1)[0]?.seq ?? 0;
    await bench.reopen(harm);
    expect(bench.rows()).toEqual(before);
    expect(bench.recovered()).toMatchObject({ from: 'backup', added: 1, missing: 0, unreadable: 0 });
    expect((await bench.dock(camera)).account).toMatchObject({ listed: 2, held: 2, stored: 0 });
    expect(camera.readFrom).toHaveLength(2);
    // No number of an event is given twice.
    expect(bench.outbox.latest(1)[0]?.seq).toBeGreaterThan(lastSeq);
    expect(bench.db.get('PRAGMA foreign_key_check')).toBeUndefined();
    const aside = readdirSync(bench.folder).filter((name) => /^station\.db\.damaged-\S+Z$/.test(name));
    expect(aside).toHaveLength(harm === lost ? 0 : 1);
  });

  test('gone with all its backups is rebuilt from the vault alone', async () => {
    const { bench, camera } = await stationWithTwo();
    using _ = bench;
    const before = bench.rows();
    await bench.reopen((file) => {
      lost(file);
      rmSync(bench.backups.folder, { recursive: true });
    });
    expect(bench.rows()).toEqual(before);
    expect(bench.recovered()).toMatchObject({ code: 'state.lost', from: 'vault', added: 2 });
    expect((await bench.dock(camera)).account).toMatchObject({ held: 2 });
    for (const session of bench.db.all("SELECT * FROM docking_session WHERE code = 'state.lost'"))
      expect(session).toMatchObject({ listed: 1, stored: 1, outcome: 'interrupted' });
  });

  test('damaged is restored from an older backup when the newest cannot be read', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    const [newest] = await bench.backups.list();
    writeFileSync(join(bench.backups.folder, 'station-20990101T000000Z-v3.db'), 'not a database');
    await bench.reopen(damaged);
    expect(bench.recovered()).toMatchObject({ from: 'backup', backupTakenAt: newest?.takenAt });
    expect(bench.catalogue.count()).toBe(2);
  });

  test('whole is left alone, and a first start is none of a lost one', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    await bench.reopen(() => undefined);
    expect(bench.recovered()).toBeUndefined();
    using fresh = new LostBench();
    await fresh.reopen(lost);
    expect(fresh.recovered()).toBeUndefined();
  });

  test('locked by another program is not taken for a damaged one', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    bench.db[Symbol.dispose]();
    const other = new DatabaseSync(bench.file);
    other.exec("PRAGMA locking_mode = EXCLUSIVE; INSERT INTO counter VALUES ('other', 1)");
    await expect(bench.open()).rejects.toMatchObject({ code: 'state.locked' });
    other.close();
    await bench.startAgain();
    expect(readdirSync(bench.folder).filter((name) => name.includes('damaged'))).toEqual([]);
  });

  test('replaced while it can still be read hands on the events that wait for the broker', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    const ids = bench.outbox.unacknowledged(1000).map(({ seq, id }) => `${seq} ${id}`);
    bench.db[Symbol.dispose]();
    await recoverDatabase(bench.parts(), new DockError('state.lost'));
    await bench.startAgain();
    const handed = bench.outbox.unacknowledged(1000).map(({ seq, id }) => `${seq} ${id}`);
    expect(handed.slice(0, -1)).toEqual(ids);
    const { bytes } = bench.db.get('SELECT sum(length(CAST(data AS BLOB))) AS bytes FROM event') ?? {};
    expect(bench.outbox.waiting().bytes).toBe(bytes);
    expect(bench.outbox.backlog()).toBe('ok');
  });

  test('replaced while it can still be read hands on every event that waits, however many', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    bench.db.run(
      `WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 150000)
       INSERT INTO event (id, type, at, data, class, total_bytes)
         SELECT format('%08x-0000-7000-8000-000000000000', n), 'agent-stopping', 0, '{}', 'must', 0 FROM number`,
    );
    bench.db.run("INSERT OR IGNORE INTO waiting_event SELECT seq, 'must' FROM event");
    const depth = bench.outbox.depth();
    bench.db[Symbol.dispose]();
    await recoverDatabase(bench.parts(), new DockError('state.lost', 'by hand'));
    await bench.startAgain();
    expect(bench.outbox.depth()).toBe(depth + 1);
  });

  test('recovered twice by a station whose clock has lost the time gives no number twice', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    const lostTime = { ...systemClock, now: () => 5000 };
    const numbers: number[] = [];
    for (const _time of [1, 2]) {
      bench.db[Symbol.dispose]();
      lost(bench.file);
      (await openStationDatabase({ ...bench.parts(), clock: lostTime }))[Symbol.dispose]();
      await bench.startAgain();
      numbers.push(bench.outbox.lastSeq());
    }
    expect(Math.min(...numbers)).toBeGreaterThan(1_000_000_000);
    expect(new Set(numbers).size).toBe(2);
  });

  test('gone but for its log does not spoil the one that takes its place', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    const before = bench.rows();
    const log = readFileSync(`${bench.file}-wal`);
    expect(log.length).toBeGreaterThan(0);
    await bench.reopen((file) => {
      lost(file);
      writeFileSync(`${file}-wal`, log);
    });
    expect(bench.rows()).toEqual(before);
    expect(bench.db.get('PRAGMA integrity_check')).toEqual({ integrity_check: 'ok' });
  });

  test('being recovered when the power fails is recovered at the next start', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    const before = bench.rows();
    bench.db[Symbol.dispose]();
    damaged(bench.file);
    const steps = bench.disk.steps.length;
    for (let n = 1; ; n++) {
      let seen = 0;
      bench.disk.plan = {
        before: () => {
          if (++seen === n) throw new DockError('vault.disk-error', 'injected');
        },
      };
      const opened = await bench.open().catch((error: unknown) => error);
      if (opened instanceof Database) {
        opened[Symbol.dispose]();
        break;
      }
      expect(opened).toMatchObject({ code: 'vault.disk-error' });
      expect(existsSync(bench.file)).toBe(true);
    }
    expect(bench.disk.steps.length).toBeGreaterThan(steps + 3);
    bench.disk.plan = {};
    await bench.startAgain();
    expect(bench.rows()).toEqual(before);
  });
});

describe('a catalogue made from the vault', () => {
  test('leaves out a recording whose bytes are not there, so that it is pulled again', async () => {
    const { bench, camera, first } = await stationWithTwo();
    using _ = bench;
    const stored = bench.catalogue.findRecording('BC-1', first)?.storedPath ?? '';
    await bench.reopen((file) => {
      lost(file);
      rmSync(bench.backups.folder, { recursive: true });
      truncateSync(join(bench.vaultFolder, stored), 299_999);
    });
    expect(bench.recovered()).toMatchObject({ added: 1, missing: 1 });
    expect((await bench.dock(camera)).account).toMatchObject({ held: 1, stored: 1 });
    // The damaged file is evidence and stays.
    expect(existsSync(join(bench.vaultFolder, stored))).toBe(true);
  });

  test.each(['{"v":2}', 'not json', ''])('takes nothing from the sidecar %j', async (text) => {
    const { bench, first } = await stationWithTwo();
    using _ = bench;
    const stored = bench.catalogue.findRecording('BC-1', first)?.storedPath ?? '';
    await bench.reopen((file) => {
      lost(file);
      rmSync(bench.backups.folder, { recursive: true });
      writeFileSync(join(bench.vaultFolder, `${stored}.json`), text);
    });
    expect(bench.recovered()).toMatchObject({ added: 1, unreadable: 1 });
  });

  test('takes nothing from a sidecar that was moved beside another recording', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    const [a, b] = bench.files().map((path) => join(bench.vaultFolder, `${path}.json`));
    await bench.reopen((file) => {
      lost(file);
      rmSync(bench.backups.folder, { recursive: true });
      writeFileSync(a ?? '', readFileSync(b ?? ''));
    });
    expect(bench.recovered()).toMatchObject({ added: 1, unreadable: 1 });
  });

  test('does not measure a recording by a pull that the backup still held for under way', async () => {
    using bench = new LostBench();
    const camera = new ByteCamera();
    const recording = camera.add('/DCIM/A.MP4', 700_000);
    const context = { serialNumber: 'BC-1', sessionId: bench.openSession(camera).id };
    {
      await using intake = await bench.vault.begin(recording, context, bench.signal);
      await intake?.write(camera.bytes(recording).subarray(0, 300_000));
    }
    await bench.backUp();
    await bench.dock(camera);
    await bench.reopen(lost);
    expect(bench.catalogue.count()).toBe(1);
    expect((await bench.dock(camera)).account).toMatchObject({ held: 1, stored: 0 });
    expect(bench.files().some((path) => path.includes('/A-'))).toBe(true);
  });
});

describe('a register after a loss', () => {
  test('takes no new camera by itself until a person has confirmed it, and keeps those it knows', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    const register = (): SqliteRegister =>
      new SqliteRegister(bench.db, bench.outbox, systemClock, unsignedHeadcount(40), 'd/p/s');
    await register().enrol({ serialNumber: 'BC-1', by: 'automatic', reason: '' });
    await bench.backUp();
    await register().enrol({ serialNumber: 'BC-2', by: 'automatic', reason: '' });
    await bench.reopen(damaged);
    const again = register();
    expect(await again.standing('BC-1')).toMatchObject({ kind: 'enrolled' });
    const automatic = { by: 'automatic', reason: '' };
    for (const serialNumber of ['BC-2', 'BC-3']) {
      expect(await again.enrol({ serialNumber, ...automatic })).toMatchObject({
        kind: 'refused',
        code: 'enrolment.unconfirmed',
      });
    }
    await bench.restart();
    const restarted = register();
    expect(restarted.doubt()).toMatch(/restored from/);
    expect(await restarted.enrol({ serialNumber: 'BC-2', by: 'aigerim', reason: '' })).toMatchObject({
      kind: 'enrolled',
    });
    expect(restarted.confirm('aigerim')).toBe(true);
    expect(restarted.confirm('aigerim')).toBe(false);
    expect(await restarted.enrol({ serialNumber: 'BC-3', ...automatic })).toMatchObject({ kind: 'enrolled' });
    expect(bench.eventTypes().filter((type) => type === 'register-confirmed')).toHaveLength(1);
  });
});

describe('backups', () => {
  test('are kept in number, with the last of each older schema', async () => {
    using bench = new LostBench();
    let now = Date.UTC(2026, 0, 1);
    const backups = new DatabaseBackups({
      folder: bench.backups.folder,
      keep: 2,
      clock: { ...systemClock, now: () => (now += 86_400_000) },
    });
    const take = (): Promise<unknown> => backups.take((path) => bench.db.copyTo(path));
    // A vault that is not there is on a disk that is not mounted: nothing is made in its place.
    await expect(take()).rejects.toMatchObject({ code: 'state.backup-failed' });
    expect(existsSync(bench.vaultFolder)).toBe(false);
    mkdirSync(bench.vaultFolder);
    for (let version = 1; version <= 2; version++) {
      bench.db.get(`PRAGMA user_version = ${version}`);
      for (let n = 0; n < 3; n++) await take();
    }
    expect((await backups.list()).map(({ schemaVersion }) => schemaVersion)).toEqual([2, 2, 1]);
    expect(readdirSync(backups.folder).every((name) => /^station-\d{8}T\d{6}Z-v\d\.db$/.test(name))).toBe(
      true,
    );
  });

  test('of a database that is damaged inside are not taken, and the older one stays', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    const before = await bench.backups.list();
    bench.db.get('PRAGMA foreign_keys = OFF');
    bench.db.run("INSERT INTO removal VALUES ('no such recording', 1)");
    await expect(bench.backUp()).rejects.toMatchObject({ code: 'state.damaged' });
    expect(await bench.backups.list()).toEqual(before);
    expect(readdirSync(bench.backups.folder)).toHaveLength(before.length);
  });
});

describe('the scrub', () => {
  const everyMs = 86_400_000;

  function scrubOf(bench: VaultBench, options: { isBusy?: () => boolean } = {}): Scrub {
    return new Scrub({
      db: bench.db,
      outbox: bench.outbox,
      disk: bench.disk,
      vault: bench.vault,
      clock: { ...systemClock, now: () => systemClock.now() + 100 * everyMs },
      isBusy: options.isBusy ?? (() => false),
      bytesPerSecond: 2 ** 40,
      everyMs,
    });
  }

  test('reports a damaged recording once, leaves it, and goes on with the others', async () => {
    const { bench, first } = await stationWithTwo();
    using _ = bench;
    const damagedPath = bench.catalogue.findRecording('BC-1', first)?.storedPath ?? '';
    writeFileSync(join(bench.vaultFolder, damagedPath), 'x', { flag: 'r+' });
    const files = bench.allFiles();
    const stop = new AbortController();
    const scrub = scrubOf(bench);
    await scrub.some(stop.signal);
    await scrub.report(stop.signal);
    const problems = bench.outbox.latest(1000).filter(({ type }) => type === 'vault-problem');
    expect(problems[0]?.data).toEqual({ code: 'vault.file-damaged', detail: damagedPath });
    expect(bench.allFiles()).toEqual(files);
    expect(bench.db.all('SELECT id FROM recording WHERE verified_at IS NOT NULL')).toHaveLength(1);
    expect(bench.outbox.latest(1)[0]?.type).toBe('vault-checked');
  });

  test('gives a recording of an older version its sidecar, equal to the one it would have had', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    const sidecars = bench.allFiles().filter((path) => path.endsWith('.json') && !path.startsWith('.'));
    const [path = ''] = sidecars.filter((name) => name.includes('/A-'));
    const before: unknown = JSON.parse(readFileSync(join(bench.vaultFolder, path), 'utf8'));
    rmSync(join(bench.vaultFolder, path));
    await scrubOf(bench).some(bench.signal);
    expect(JSON.parse(readFileSync(join(bench.vaultFolder, path), 'utf8'))).toEqual(before);
  });

  test('waits while a camera is being emptied', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    await scrubOf(bench, { isBusy: () => true }).some(bench.signal);
    expect(bench.db.all('SELECT id FROM recording WHERE verified_at IS NOT NULL')).toEqual([]);
  });

  test('names files that nobody knows and takes in what only lacks its row', async () => {
    const { bench } = await stationWithTwo();
    using _ = bench;
    const before = bench.rows();
    bench.db.run('DELETE FROM recording');
    writeFileSync(join(bench.vaultFolder, 'holiday.mp4'), 'not ours');
    await scrubOf(bench).report(bench.signal);
    expect(bench.rows()).toEqual(before);
    const problem = bench.outbox.latest(2)[0];
    expect(problem?.data).toEqual({ code: 'vault.file-unknown', detail: 'holiday.mp4' });
    expect(existsSync(join(bench.vaultFolder, 'holiday.mp4'))).toBe(true);
  });
});

describe('history', () => {
  test('is forgotten when old, but not what a recording, an event or a clock still needs', async () => {
    using bench = new LostBench();
    const camera = new ByteCamera();
    camera.add('/DCIM/A.MP4', 10);
    await bench.dock(camera);
    const add = (id: string, endedAt: number | null, clockSetAt: number | null = null): number =>
      bench.db.run(
        `INSERT INTO docking_session (id, bay, serial_number, started_at, ended_at, clock_set_at)
         VALUES (?, 1, 'BC-9', ?, ?, ?)`,
        id,
        endedAt ?? 1,
        endedAt,
        clockSetAt,
      );
    add('old', 1000);
    add('open', null);
    add('awaited', 1000);
    add('clock', 900, 900);
    add('last clock', 1000, 1000);
    add('new', Date.now());
    const outbox = new Outbox(bench.db, systemClock, systemRandom);
    outbox.acknowledge(outbox.latest(1000).map(({ seq }) => seq));
    outbox.record('camera-undocked', { bay: 1, serialNumber: 'BC-9', sessionId: 'awaited' });
    bench.db.run('UPDATE docking_session SET ended_at = 1 WHERE id IN (SELECT session_id FROM recording)');
    bench.db.run("INSERT INTO fault VALUES (1, '', 'wire.timeout', 1, 1, 1)");
    expect(pruneHistory(bench.db, systemClock.now())).toMatchObject({ sessions: 2, faults: 1 });
    const kept = bench.db.all('SELECT id FROM docking_session').map(({ id }) => String(id));
    expect(kept.filter((id) => !id.includes('-')).toSorted()).toEqual([
      'awaited',
      'last clock',
      'new',
      'open',
    ]);
    expect(kept).toHaveLength(5);
  });

  test('forgets strangers that are long gone or too many, and never whom the post has enrolled or retired', async () => {
    using bench = new LostBench();
    const now = systemClock.now();
    const openAt = (time: number): SqliteRegister => {
      const clock = { ...systemClock, now: () => time };
      return new SqliteRegister(bench.db, bench.outbox, clock, unsignedHeadcount(40), 'd/p/s');
    };
    const register = openAt(0);
    const see = (serialNumber: string, lastDockedAt: number): number =>
      bench.db.run(
        "INSERT INTO camera VALUES (?, 'M', '1', 'A', NULL, 0, ?, 1, NULL)",
        serialNumber,
        Math.floor(lastDockedAt),
      );
    for (const serialNumber of ['ENROLLED', 'RETIRED']) {
      see(serialNumber, 0);
      await register.enrol({ serialNumber, by: 'aigerim', reason: 'delivery' });
    }
    await register.retire({ serialNumber: 'RETIRED', by: 'aigerim', cause: 'lost', note: '' });
    see('REFUSED LONG AGO', 0);
    await register.refuse({ serialNumber: 'REFUSED LONG AGO', by: 'automatic', code: 'enrolment.manual' });
    see('REFUSED NOW', now);
    await openAt(now).refuse({ serialNumber: 'REFUSED NOW', by: 'automatic', code: 'enrolment.manual' });
    bench.db.transaction(() => {
      for (let n = 0; n < 10_100; n++) see(`NEW ${n}`, now - 1_000_000 + n);
    });

    expect(pruneHistory(bench.db, now)).toMatchObject({ cameras: 102, refusals: 1 });
    const known = bench.db.all('SELECT serial_number AS serial FROM camera').map(({ serial }) => serial);
    expect(known).toHaveLength(10_002);
    expect(known).toEqual(
      expect.arrayContaining(['ENROLLED', 'RETIRED', 'REFUSED NOW', 'NEW 10099', 'NEW 101']),
    );
    const enrolments = (await register.list()).map(({ serialNumber, state }) => [serialNumber, state]);
    expect(enrolments).toEqual([
      ['ENROLLED', 'enrolled'],
      ['REFUSED NOW', 'refused'],
      ['RETIRED', 'retired'],
    ]);
    const acts = (await register.audit(0, 10)).map(({ record }) => {
      if (record === null) return 'forgotten';
      const { serialNumber, act } = auditRecord.parse(JSON.parse(record));
      return `${serialNumber} ${act}`;
    });
    expect(acts).toEqual([
      'ENROLLED enrolled',
      'RETIRED enrolled',
      'RETIRED retired',
      'forgotten',
      'REFUSED NOW refused',
    ]);
    expect(pruneHistory(bench.db, now)).toMatchObject({ cameras: 0, refusals: 0 });
  });
});
