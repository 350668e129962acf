// A disk may have written anything of what was not flushed. A device logs all writes of a vault in the order in which
// they became durable; replayed to many points, it shows the file system as if the power had failed there. At each
// point the station recovers with the catalogue that was committed by then, and whatever a camera had been told to
// remove is whole.
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { configSchema } from '../../agent/config/schema.ts';
import { ProvenAttachments } from '../../agent/enrolment/proven-attachments.ts';
import { unsignedHeadcount } from '../../agent/enrolment/headcount.ts';
import { SqliteRegister } from '../../agent/enrolment/sqlite-register.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { runDockingSession } from '../../agent/session/docking-session.ts';
import { closeInterruptedSessions } from '../../agent/session/session-log.ts';
import { Database } from '../../agent/state/database.ts';
import { Catalogue } from '../../agent/vault/catalogue.ts';
import type { Disk } from '../../agent/vault/disk.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';
import { Vault } from '../../agent/vault/vault.ts';
import { ByteCamera } from '../support/byte-camera.ts';
import { FaultDatabase } from '../support/fault-database.ts';
import { labDisk } from '../usb/lab.ts';
import { forgetfulDisks } from './forgetful-disk.ts';
import { filesNobodyKnows, StationRemains } from './station-remains.ts';
import { readWriteLog, replay, type LogEntry } from './write-log.ts';

/** Emulated as the machine is, starting dmsetup for each mark takes most of the time. */
const recordings = 4;
const points = 24;
const { signal } = new AbortController();

beforeAll(() => {
  const modules = ['dm-mod', 'dm-log-writes', 'xfs'];
  run(
    'modprobe',
    '-d',
    process.env['LAB_MODULES'] ?? '/',
    '-S',
    process.env['LAB_KERNEL'] ?? '',
    '-a',
    ...modules,
  );
});

describe.each(['ext4', 'xfs'] as const)(
  'a vault on %s whose power fails at any point of its write log',
  (fileSystem) => {
    const folder = mkdtempSync(join(labDisk, 'write-log-'));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test(`holds at ${points} points all that was removed from cameras`, async () => {
      const log = await record(fileSystem, folder, nodeDisk);
      const found = await checkPoints(log, folder, pointsOf(log.entries));
      console.log(
        `${fileSystem}: ${found.points} points of ${log.entries.length} log entries, ${found.removals} removals among them`,
      );
      expect(found.violations).toEqual([]);
      expect(found.removals).toBeGreaterThan(0);
    });

    test('is caught when it leaves out the sync of the folder', async () => {
      const log = await record(fileSystem, folder, forgetfulDisks['folder-sync']);
      const lastRemoval = log.entries.findLastIndex(isRemoval);
      const found = await checkPoints(log, folder, [lastRemoval + 1]);
      expect(found.violations).toEqual([expect.stringMatching(/catalogued and not whole on the disk/)]);
    });
  },
);

interface RecordedLog {
  readonly path: string;
  readonly sizeMiB: number;
  readonly entries: readonly LogEntry[];
  /** Digests by path of what the camera held. */
  readonly digests: ReadonlyMap<string, string>;
}

/** A docking on a device that logs its writes; each commit of the catalogue and each removal is marked in the log. */
async function record(fileSystem: 'ext4' | 'xfs', folder: string, disk: Disk): Promise<RecordedLog> {
  const sizeMiB = fileSystem === 'xfs' ? 320 : 64;
  const path = join(folder, 'log.img');
  for (const name of ['device.img', 'log.img', 'state', 'snapshots'])
    rmSync(join(folder, name), { recursive: true, force: true });
  for (const name of ['state', 'snapshots', 'mounted']) mkdirSync(join(folder, name), { recursive: true });
  await using stack = new AsyncDisposableStack();
  const device = loop(stack, sparse(join(folder, 'device.img'), sizeMiB));
  const logDevice = loop(stack, sparse(path, 1024));
  const table = `0 ${sizeMiB * 2048} log-writes ${device} ${logDevice}`;
  run('dmsetup', 'create', 'vault-log', '--noudevsync', '--table', table);
  stack.defer(() => void run('dmsetup', 'remove', '--noudevsync', '--retry', 'vault-log'));
  const mark = (name: string): void => void run('dmsetup', 'message', 'vault-log', '0', `mark ${name}`);
  run('dmsetup', 'mknodes', 'vault-log');
  run(
    `mkfs.${fileSystem}`,
    '-q',
    ...(fileSystem === 'xfs' ? ['-K'] : ['-E', 'nodiscard']),
    '/dev/mapper/vault-log',
  );
  const mounted = join(folder, 'mounted');
  run('mount', '/dev/mapper/vault-log', mounted);
  stack.defer(() => void run('umount', mounted));

  const camera = new ByteCamera({ onRemove: ({ path: removed }) => mark(`removed:${removed}`) });
  for (let n = 0; n < recordings; n++) camera.add(`/DCIM/${n}.MP4`, 20_000 + n * 40_000);
  const digests = new Map(
    (await Array.fromAsync(camera.recordings())).map((each) => [each.path, each.sha256 ?? '']),
  );
  const file = join(folder, 'state', 'station.db');
  using db = new FaultDatabase(file);
  db.plan = {
    after: (n) => {
      for (const suffix of ['', '-wal'])
        copyFileSync(file + suffix, join(folder, 'snapshots', `${n}.db${suffix}`));
      mark(`commit:${n}`);
    },
  };
  const station = stationOn(db, disk, join(mounted, 'vault'));
  await station.vault.recover(signal);
  db.plan.after?.(0);
  mark('begin');
  const result = await runDockingSession(
    camera,
    { bay: 1, isFirst: true, compared: new Set() },
    station,
    quiet,
    signal,
  );
  expect(result).toMatchObject({ outcome: 'complete', account: { stored: recordings, removed: recordings } });
  mark('end');
  // Takes the device away: what is not in the log by now belongs to no point that is looked at.
  await stack.disposeAsync();
  return { path, sizeMiB, entries: readWriteLog(path), digests };
}

/** Evenly over the docking, and each first moment after a removal: then most depends on what was flushed. */
function pointsOf(entries: readonly LogEntry[]): number[] {
  const [first, last] = ['begin', 'end'].map((mark) =>
    entries.findIndex((entry) => entry.kind === 'mark' && entry.name === mark),
  ) as [number, number];
  const removals = entries.flatMap((entry, index) => (isRemoval(entry) ? [index + 1] : []));
  const even = points - removals.length;
  const spread = Array.from(
    { length: even },
    (_, n) => first + 1 + Math.floor(((last - first - 1) * n) / even),
  );
  return [...new Set([...removals, ...spread])].toSorted((a, b) => a - b);
}

async function checkPoints(
  log: RecordedLog,
  folder: string,
  at: readonly number[],
): Promise<{ points: number; removals: number; violations: string[] }> {
  const image = sparse(join(folder, 'replay.img'), log.sizeMiB, true);
  const violations: string[] = [];
  let removals = 0;
  let done = 0;
  for (const point of at) {
    replay(log.path, image, log.entries.slice(done, point));
    done = point;
    const before = log.entries.slice(0, point);
    removals += before.some(isRemoval) ? 1 : 0;
    violations.push(
      ...(await violationsAt(log, folder, image, before)).map((text) => `entry ${point}: ${text}`),
    );
  }
  return { points: at.length, removals, violations };
}

/** Mounts a copy of the device as it was, recovers with the catalogue of that moment, and looks. */
async function violationsAt(
  { digests }: RecordedLog,
  folder: string,
  image: string,
  before: readonly LogEntry[],
): Promise<string[]> {
  const checked = join(folder, 'checked.img');
  run('cp', '--sparse=always', image, checked);
  const stateFolder = join(folder, 'checked-state');
  rmSync(stateFolder, { recursive: true, force: true });
  mkdirSync(stateFolder);
  const commit = before.findLast((entry) => entry.kind === 'mark' && entry.name.startsWith('commit:'));
  const snapshot = commit?.kind === 'mark' ? commit.name.slice('commit:'.length) : '';
  for (const suffix of ['', '-wal'])
    copyFileSync(
      join(folder, 'snapshots', `${snapshot}.db${suffix}`),
      join(stateFolder, `station.db${suffix}`),
    );
  const mounted = join(folder, 'mounted');
  await using stack = new AsyncDisposableStack();
  run('mount', loop(stack, checked), mounted);
  stack.defer(() => void run('umount', mounted));
  const vaultFolder = join(mounted, 'vault');
  {
    using db = new Database(join(stateFolder, 'station.db'));
    const station = stationOn(db, nodeDisk, vaultFolder);
    await station.vault.recover(signal);
    closeInterruptedSessions(station);
  }
  const remains = new StationRemains({ stateFolder, vaultFolder });
  const found: string[] = [];
  for (const row of remains.recordings) {
    const [path, storedPath] = [String(row['path']), String(row['stored_path'])];
    if (remains.digestOf(storedPath) !== digests.get(path))
      found.push(`${path}: catalogued and not whole on the disk`);
  }
  for (const entry of before) {
    if (!isRemoval(entry)) continue;
    const path = entry.name.slice('removed:'.length);
    if (!remains.recordings.some((row) => row['path'] === path)) found.push(`${path}: removed without a row`);
  }
  found.push(...filesNobodyKnows(remains).map((file) => `${file}: nobody knows it`));
  return found;
}

function stationOn(db: Database, disk: Disk, vaultFolder: string) {
  const [clock, random] = [systemClock, systemRandom];
  const outbox = new Outbox(db, clock, random);
  return {
    config: configSchema.parse({ post: { headcount: 40 }, vault: { removal: 'when-verified' } }),
    clock,
    random,
    db,
    outbox,
    vault: new Vault({ db, outbox, disk, clock, random }, { folder: vaultFolder, reserveBytes: 0 }),
    register: new SqliteRegister(db, outbox, clock, unsignedHeadcount(40), 'd/p/s'),
    attachments: new ProvenAttachments(db, clock, 30_000),
    catalogue: new Catalogue(db),
    checkStationClock: async () => ({ isTrusted: true, evidence: 'a test' }),
  };
}

const quiet = {
  opened: () => undefined,
  phase: () => undefined,
  busy: () => undefined,
  planned: () => undefined,
  pulled: () => undefined,
};

function isRemoval(entry: LogEntry): entry is LogEntry & { kind: 'mark' } {
  return entry.kind === 'mark' && entry.name.startsWith('removed:');
}

function sparse(path: string, sizeMiB: number, isFresh = false): string {
  if (isFresh) rmSync(path, { force: true });
  if (!existsSync(path)) writeFileSync(path, '');
  truncateSync(path, sizeMiB * 2 ** 20);
  return path;
}

/** The loop device of an image, for as long as the scope. */
function loop(stack: AsyncDisposableStack, image: string): string {
  const device = run('losetup', '--find', '--show', image);
  stack.defer(() => void run('losetup', '--detach', device));
  return device;
}

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}
