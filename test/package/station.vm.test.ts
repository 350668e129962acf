// The life of a station that was installed from its package: a bare Debian 12, first start, a camera, a power cut in
// the middle of it, an upgrade, a downgrade that refuses, a purge. One machine, so the tests follow one another.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RecordingsAnswer, StatusAnswer } from '../../agent/cli/answers.ts';
import { migrations } from '../../agent/state/migrations.ts';
import { Machine } from './machine.ts';
import { laterRelease, makePackage } from './packages.ts';

const laterVersion = '99.0.0';
const cache = process.env['DOCK_PACKAGE_LAB'] ?? '';
/** Whatever their order, after the first 100 kB the long one is being pulled. */
const recordings = {
  'A.mp4': randomBytes(1_400_000),
  'B.mp4': randomBytes(50_000),
  'C.mp4': randomBytes(50_000),
};
const digests = Object.values(recordings)
  .map((bytes) => createHash('sha256').update(bytes).digest('hex'))
  .toSorted();

let folder: string;
let system: string;
let released: string;
let later: string;
let machine: Machine;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'dock-package-'));
  system = join(folder, 'system');
  mkdirSync(system);
  execFileSync('tar', ['-C', system, '-xzf', join(cache, 'bookworm.tar.gz')]);
  released = makePackage();
  later = makePackage(laterRelease(join(folder, 'later'), laterVersion));
});
afterAll(async () => {
  await machine?.[Symbol.asyncDispose]();
  if (process.env['DOCK_KEEP_LAB'] === undefined) rmSync(folder, { recursive: true, force: true });
});

const inSystem = (...command: string[]): string =>
  execFileSync('unshare', ['-n', 'chroot', system, ...command], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });

async function status(): Promise<StatusAnswer | undefined> {
  const { status, output } = await machine.run('dockctl status --json');
  return status === 0 ? (JSON.parse(output) as StatusAnswer) : undefined;
}

/** What dockctl says once the service is ready; asking systemctl meanwhile costs little. */
async function onceReady(): Promise<StatusAnswer> {
  await machine.until(
    'the service',
    async () => (await machine.run('systemctl is-active dock-agent')).status === 0,
  );
  const now = await status();
  if (!now) throw new Error('the service is ready, and dockctl gets no answer');
  return now;
}

const shown = (property: string): Promise<string> => machine.tell(`systemctl show -P ${property} dock-agent`);

/** What the vault holds, hashed from its files by other means than ours. */
async function storedDigests(): Promise<string[]> {
  const { vault } = JSON.parse(await machine.tell('dockctl recordings --json')) as RecordingsAnswer;
  const sums = await machine.tell(
    `find ${vault} -name .database -prune -o -type f ! -name '.part-*' ! -name '*.json' -exec sha256sum {} +`,
  );
  return sums
    .split('\n')
    .map((line) => line.slice(0, 64))
    .toSorted();
}

/** A shell command that runs JavaScript with the station's database as `db`. */
const withDatabase = (code: string): string =>
  `LD_LIBRARY_PATH=/usr/lib/docking-station/lib /usr/lib/docking-station/bin/node -e "
const db = new (require('node:sqlite').DatabaseSync)('/var/lib/docking-station/station.db');
${code}; db.close()"
chown -R dock:dock /var/lib/docking-station`;

const query = async (sql: string): Promise<unknown> =>
  JSON.parse(await machine.tell(withDatabase(`console.log(JSON.stringify(db.prepare('${sql}').all()))`)));

/** Returns while the long recording is pulled. */
async function underWay(): Promise<void> {
  const bay = await machine.until('a pull under way', async () => {
    const now = (await status())?.bays[0];
    return now !== undefined && now.bytesDone > 100_000 && now;
  });
  expect(bay.bytesDone).toBeLessThan(1_400_000);
}

test('the same tree gives the same bytes', () => {
  const first = readFileSync(released);
  expect(readFileSync(makePackage()).equals(first)).toBe(true);
});

test('installs on a bare Debian 12 without a network, and dockctl runs there', () => {
  const name = basename(released);
  copyFileSync(released, join(system, 'root', name));
  copyFileSync(later, join(system, 'root', basename(later)));
  expect(() => inSystem('sh', '-c', 'command -v cc || command -v node')).toThrow();
  inSystem('dpkg', '-i', `/root/${name}`);
  expect(inSystem('dpkg', '--verify', 'docking-station')).toBe('');
  expect(inSystem('dockctl', 'config', 'check')).toMatch(/\/etc\/docking-station\/config\.toml: valid/);
  mkdirSync(join(system, 'var/camera'));
  for (const [file, bytes] of Object.entries(recordings))
    writeFileSync(join(system, 'var/camera', file), bytes);
});

test('the service is up after the first boot, as its own user, and says how it is', async () => {
  machine = Machine.create(folder, system, process.env['DOCK_LAB_KERNELS'] ?? '');
  await machine.boot();
  const up = await onceReady();
  expect(up.bays).toEqual([]);
  expect(await machine.tell('systemctl is-active dock-agent dock-helper.socket')).toBe('active\nactive');
  expect(await machine.tell('stat -c %U /proc/$(systemctl show -P MainPID dock-agent)')).toBe('dock');
  expect(await shown('StatusText')).toMatch(/no bays are configured/);
  expect(await machine.tell('systemctl --failed --plain --no-legend')).toBe('');
});

test('what the helper mounts later reaches the sandbox of the agent, which may write to its own folders only', async () => {
  const inside = `nsenter -m -t $(systemctl show -P MainPID dock-agent)`;
  await machine.tell('mkdir -p /run/dock-mounts/1-1.0 && mount -t tmpfs tmpfs /run/dock-mounts/1-1.0');
  expect((await machine.run(`${inside} mountpoint /run/dock-mounts/1-1.0`)).status).toBe(0);
  await machine.tell('umount /run/dock-mounts/1-1.0');
  expect((await machine.run(`${inside} touch /etc/x`)).output).toMatch(/Read-only file system/);
  expect((await machine.run(`${inside} touch /var/lib/docking-station/x`)).status).toBe(0);
});

test('a log line is a JSON object with its priority in the journal', async () => {
  const lines = (await machine.tell('journalctl -u dock-agent -o json'))
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, string>);
  const started = lines.find(({ MESSAGE = '' }) => MESSAGE.includes('agent-started'));
  expect(started?.['PRIORITY']).toBe('6');
  expect(JSON.parse(started?.['MESSAGE'] ?? '')).toMatchObject({ event: 'agent-started', boot: 1 });
});

test('a stop in order and then a power cut, both while a camera is emptied: it goes on with nothing lost', async () => {
  const config = `
[station]
department = "almaty"
post = "kordai"
name = "station-1"
[post]
headcount = 40
[state]
folder = "/var/lib/docking-station"
[vault]
removal = "when-verified"
[[bay]]
number = 1
usb_port = "1-1"
`;
  await machine.tell(`cat >/etc/docking-station/config.toml <<'END'\n${config}END
echo 1-1 >/etc/docking-station/bay-ports
sync
systemctl restart dock-agent`);
  await underWay();

  await machine.tell('systemctl stop dock-agent');
  expect(await shown('Result')).toBe('success');
  expect(await machine.tell('journalctl -u dock-agent -o cat -n 20')).toMatch(/agent-stopped/);
  const received = Number(await machine.tell("find /var/lib/docking-station -name '.part-*' -printf %s"));
  expect(received).toBeGreaterThan(0);
  expect(await query('SELECT durable_bytes FROM intake')).toEqual([{ durable_bytes: received }]);

  await machine.tell('systemctl start dock-agent');
  await underWay();
  await machine.cut();

  await machine.boot();
  await machine.until('the rest of the camera', async () => {
    const now = await status();
    return now?.bays[0]?.phase === 'ready' && now.recordings === 3;
  });
  expect(await storedDigests()).toEqual(digests);
  expect(await machine.tell('ls /var/camera')).toBe('');
  expect(await machine.tell('dockctl verify')).toMatch(/3 intact, 0 damaged, 0 missing/);
  expect(await machine.tell('systemctl --failed --plain --no-legend')).toBe('');
});

test('an agent that hangs is killed by the watchdog and comes back', async () => {
  await machine.tell(`mkdir -p /run/systemd/system/dock-agent.service.d
printf '[Service]\\nWatchdogSec=6\\n' >/run/systemd/system/dock-agent.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart dock-agent`);
  const before = await shown('MainPID');
  await machine.tell(`kill -STOP ${before}`);
  await machine.until('another process', async () => {
    const now = await shown('MainPID');
    return now !== before && now !== '0';
  });
  await onceReady();
  expect(await machine.tell('journalctl -u dock-agent -o cat')).toMatch(/Watchdog timeout/);
  await machine.tell('rm /run/systemd/system/dock-agent.service.d/watchdog.conf; systemctl daemon-reload');
});

test('an upgrade migrates the database, keeps what was configured, and goes on', async () => {
  await machine.tell(`dpkg --force-unsafe-io -i /root/${basename(later)}`, { timeoutMs: 300_000 });
  const up = await onceReady();
  expect(up).toMatchObject({ version: laterVersion, recordings: 3, station: { post: 'kordai' } });
  expect(up.bays).toHaveLength(1);
});

test('a downgrade is refused before anything is replaced, and the station goes on', async () => {
  const { status: code, output } = await machine.run(`dpkg -i /root/${basename(released)}`, {
    timeoutMs: 300_000,
  });
  expect(code).not.toBe(0);
  expect(output).toContain(`is of version ${migrations.length + 1}, this package knows ${migrations.length}`);
  const up = await onceReady();
  expect(up).toMatchObject({ version: laterVersion, recordings: 3 });
  expect(await machine.tell("dpkg-query -W -f '${Version} ${Status}' docking-station")).toBe(
    `${laterVersion} install ok installed`,
  );
});

test('an agent that finds a database of a newer one says so in its status, and touches nothing', async () => {
  const setVersion = (version: number): string =>
    withDatabase(`db.exec('PRAGMA user_version = ${version}; PRAGMA wal_checkpoint(TRUNCATE)')`);
  const sum = (): Promise<string> => machine.tell('sha256sum </var/lib/docking-station/station.db');
  await machine.tell(`systemctl stop dock-agent; ${setVersion(1000)}`);
  const before = await sum();
  const { status: code } = await machine.run('systemctl start dock-agent');
  expect(code).not.toBe(0);
  expect(await shown('StatusText')).toMatch(/^Cannot start: .*version 1000.*\[state\.too-new\]/);
  await machine.until(
    'a second try',
    async () => (await machine.tell('cat /run/docking-station/failed-starts')) === '2',
  );
  expect(await sum()).toBe(before);
  await machine.tell(
    `systemctl stop dock-agent; ${setVersion(migrations.length + 1)}; systemctl start dock-agent`,
  );
  expect(await onceReady()).toMatchObject({ recordings: 3 });
});

test('a purge leaves the recordings, unless it is told to remove them', async () => {
  await machine.tell('cp /var/lib/dpkg/info/docking-station.postrm /root/postrm');
  const { output } = await machine.run('dpkg -P docking-station');
  expect(output).toMatch(/recordings and catalogue are kept/);
  const held = await machine.tell("find /var/lib/docking-station -name '*.mp4' -o -name station.db | wc -l");
  expect(Number(held)).toBe(4);
  expect(await machine.tell('ls /etc/docking-station /usr/lib/docking-station 2>&1 || true')).not.toMatch(
    /config|agent/,
  );
  await machine.tell('DOCK_PURGE_RECORDINGS=yes sh /root/postrm purge');
  expect(await machine.tell('ls /var/lib')).not.toMatch(/docking-station/);
});
