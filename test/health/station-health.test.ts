// A station tells what is out of order with a code and what to do, once when it begins and once when it ends.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { healthMessage } from '../../protocol/mqtt/documents.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { trustedByConfiguration } from '../../agent/clock/station-clock.ts';
import { healthContent } from '../../agent/health/health-message.ts';
import {
  noHealthSources,
  StationHealth,
  systemHealthSources,
  type HealthSources,
} from '../../agent/health/station-health.ts';
import { Alarms } from '../../agent/report/alarms.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { Database } from '../../agent/state/database.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';
import { WatchedDisk } from '../../agent/vault/watched-disk.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const dayMs = 86_400_000;
const gib = 2 ** 30;

let folder: string;
let db: Database;
let clock: VirtualClock;
let outbox: Outbox;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dock-health-'));
  db = new Database(join(folder, 'station.db'));
  clock = new VirtualClock();
  outbox = new Outbox(db, clock, systemRandom);
});
afterEach(() => {
  db[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

function health(
  sources: Partial<HealthSources>,
  options: { isTrusted?: boolean; backupAt?: number; doubt?: string } = {},
): StationHealth {
  return new StationHealth({
    sources: { ...noHealthSources, ...sources },
    disk: new WatchedDisk(nodeDisk, systemClock, () => undefined),
    checkStationClock:
      options.isTrusted === false
        ? async () => ({ isTrusted: false, evidence: 'no source' })
        : trustedByConfiguration,
    db,
    outbox,
    clock,
    random: systemRandom,
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    vaultFolder: join(folder, 'vault'),
    stateFolder: folder,
    reserveBytes: gib,
    bays: [1, 2],
    newestBackupAt: async () => options.backupAt,
    registerDoubt: () => options.doubt,
    periodMs: 60_000,
  });
}

function store(at: number, sizeBytes: number, serialNumber = 'BC-1', removedAt: number | null = null): void {
  const id = String(db.get('SELECT count(*) AS n FROM recording')?.['n']);
  db.run(
    `INSERT INTO docking_session (id, bay, serial_number, started_at, ended_at, outcome) VALUES (?, 1, ?, ?, ?, 'complete')`,
    id,
    serialNumber,
    at,
    at,
  );
  db.run(
    `INSERT INTO recording (id, serial_number, source_key, source_id, path, size_bytes, kind, is_protected, sha256,
       stored_path, stored_at, session_id, removed_at) VALUES (?, ?, ?, '', '', ?, 'video', 0, '', ?, ?, ?, ?)`,
    id,
    serialNumber,
    id,
    sizeBytes,
    id,
    at,
    id,
    removedAt,
  );
}

function fileTexts(texts: Record<string, string>): Pick<HealthSources, 'files'> {
  return { files: { ...noHealthSources.files, read: async (path) => texts[path] } };
}

const codes = ({ problems }: { problems: readonly { code: string; level: string }[] }): string[] =>
  problems.map(({ code, level }) => `${level} ${code}`);

test('a station that has and knows nothing is well and says nothing it does not know', async () => {
  const report = await health({}).sample();
  expect(report).toMatchObject({ level: 'ok', problems: [], bays: [{ bay: 1 }, { bay: 2 }] });
  expect(Object.keys(report).filter((key) => /Bytes|Errors|Celsius|smart|load/.test(key))).toEqual([]);
});

describe('the vault', () => {
  test('is full when the room above the reserve is used up at the rate of the last two weeks', async () => {
    const now = clock.now();
    store(now - 20 * dayMs, 500 * gib);
    store(now - 10 * dayMs, 30 * gib);
    store(now - 5 * dayMs, 20 * gib);
    const space = async (): Promise<{ freeBytes: number; totalBytes: number }> => ({
      freeBytes: 101 * gib,
      totalBytes: 500 * gib,
    });
    const report = await health({ space }).sample();
    expect(report.vaultBytesPerDay).toBe(5 * gib);
    expect(report.vaultSecondsUntilFull).toBe(20 * 86_400);
    expect(report.level).toBe('ok');
  });

  test.each([
    [60, 'warning health.vault-filling'],
    [8, 'critical health.vault-filling'],
  ])('with %d GiB left is a problem', async (freeGib, expected) => {
    store(clock.now() - 10 * dayMs, 50 * gib);
    const space = async (): Promise<{ freeBytes: number; totalBytes: number }> => ({
      freeBytes: freeGib * gib,
      totalBytes: 100 * gib,
    });
    expect(codes(await health({ space }).sample())).toEqual([expected]);
  });

  test('of a station that has stored for less than a day has no forecast', async () => {
    store(clock.now() - dayMs / 2, 50 * gib);
    expect(await health({}).sample()).not.toHaveProperty('vaultBytesPerDay');
  });
});

describe('a camera', () => {
  test('is full when what it records a day has used up what it had left, counting what was removed', async () => {
    const now = clock.now();
    store(now - 10 * dayMs, 100 * gib, 'BC-1', now - dayMs);
    db.run(
      `INSERT INTO camera VALUES ('BC-1', '', '', '', NULL, 0, ?, 1, ?)`,
      now - dayMs,
      JSON.stringify({ storageTotalBytes: 128 * gib, storageFreeBytes: 8 * gib, errorCounters: {} }),
    );
    const report = await health({}).sample();
    expect(report.cameras).toEqual([
      {
        serialNumber: 'BC-1',
        storageTotalBytes: 128 * gib,
        storageFreeBytes: 108 * gib,
        recordedBytesPerDay: 10 * gib,
        secondsUntilFull: Math.round(9.8 * 86_400),
      },
    ]);
  });
});

describe('what is out of order', () => {
  test.each([
    [
      'health.memory-low',
      fileTexts({ '/proc/meminfo': 'MemTotal: 1000 kB\nMemAvailable: 40 kB' }),
      'critical',
    ],
    [
      'health.overloaded',
      fileTexts({ '/proc/loadavg': '1 9 1', '/sys/devices/system/cpu/online': '0-3' }),
      'warning',
    ],
  ] as const)('is named: %s', async (code, sources, level) => {
    expect(codes(await health(sources).sample())).toEqual([`${level} ${code}`]);
  });

  test('is named: the clock, an old backup, a register in doubt, a bay where nothing was done for weeks', async () => {
    const now = clock.now();
    store(now - 20 * dayMs, 1);
    const options = { isTrusted: false, backupAt: now - 3 * dayMs, doubt: 'restored' };
    const report = await health({}, options).sample();
    expect(codes(report)).toEqual([
      'warning clock.station-untrusted',
      'warning health.backup-old',
      'warning enrolment.unconfirmed',
      'warning health.bay-idle',
    ]);
    expect(report.bays).toEqual([{ bay: 1, secondsSinceSuccess: 20 * 86_400 }, { bay: 2 }]);
  });

  test('is an event when it begins, when it gets worse and when it ends, and not in between', async () => {
    let available = 500;
    const files = {
      ...noHealthSources.files,
      read: async (path: string) =>
        path === '/proc/meminfo' ? `MemTotal: 1000 kB\nMemAvailable: ${available} kB` : undefined,
    };
    const station = health({ files });
    const alarms = new Alarms({ db, outbox, clock });
    station.onSample(() => alarms.settle(station.latest?.problems ?? [], () => true));
    for (available of [500, 80, 81, 20, 20, 600, 600]) await station.sample();
    expect(outbox.latest(100).map(({ type, data }) => [type, data['level']])).toEqual([
      ['station-sampled', undefined],
      ['alarm-raised', 'warning'],
      ['alarm-raised', 'critical'],
      ['alarm-cleared', undefined],
    ]);
  });

  test('is critical for disk errors that come now, a warning for those of the past', async () => {
    let count = 2;
    const files = {
      ...noHealthSources.files,
      list: async (path: string) => (path === '/sys/fs/ext4' ? ['sda1'] : []),
      read: async (path: string) => (path.endsWith('errors_count') ? String(count) : undefined),
    };
    const station = health({ files });
    expect(codes(await station.sample())).toEqual(['warning health.disk-errors']);
    count = 3;
    expect(codes(await station.sample())).toEqual(['critical health.disk-errors']);
  });
});

test('the message of a report is flat, within its schema, on this machine as well', async () => {
  store(clock.now() - 5 * dayMs, gib);
  const report = await health(systemHealthSources, { backupAt: clock.now(), doubt: 'restored' }).sample();
  const content = healthContent(report, {
    waitingEvents: 3,
    waitingEventBytes: 300,
    lastEventSeq: 9,
    droppedSamples: 0,
    camerasDocked: 1,
    camerasEnrolled: 1,
    quota: 12,
    alarms: 1,
  });
  const message = { v: 1, ts: new Date(0).toISOString(), seq: 1, ...content };
  expect(healthMessage.strict().parse(message)).toEqual(message);
  for (const value of Object.values(content)) expect(['number', 'string']).toContain(typeof value);
  expect(content.stateFreeBytes).toBeGreaterThan(0);
  expect(content.agentResidentBytes).toBeGreaterThan(0);
});

test('a step of the station clock is told with its size, once; slewing is not', async () => {
  const station = health({});
  const steps = (): unknown[] =>
    outbox
      .after(0, 100)
      .filter(({ type }) => type === 'station-clock-stepped')
      .map(({ data }) => data);
  await station.sample();
  clock.pass(60_000);
  clock.step(30);
  await station.sample();
  expect(steps()).toEqual([]);
  clock.pass(60_000);
  clock.step(-3_600_000);
  await station.sample();
  await station.sample();
  expect(steps()).toEqual([{ stepMs: -3_600_000 }]);
});
