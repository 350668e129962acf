import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { spawn as spawnOnTerminal } from '@lydell/node-pty';
import { parse } from 'smol-toml';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BayLearner } from '../../agent/cli/bay-learner.ts';
import type { HardwareDump } from '../../agent/cli/hardware-dump.ts';
import type { LearnResult } from '../../agent/cli/bays-learn-command.ts';
import type { ProbeAnswer } from '../../agent/cli/probe-answer.ts';
import { parseConfig } from '../../agent/config/load.ts';
import { cameraProfileSchema } from '../../dock/camera/profile.ts';
import { FakeSysfs, keyboardReports, type FakeUsbDevice } from '../support/fake-sysfs.ts';

// A technician in front of a station whose bay is not ready has dockctl and nothing else: it says what is plugged in
// where, why it is not used, and writes the profile and the bays that are missing. The real program on a made-up tree.

const program = fileURLToPath(new URL('../../agent/cli/dockctl.ts', import.meta.url));
const hostile = 'Cam \u001b[2J\u202e\u2066X';
const drivesTerminal = /(?!\n)[\p{Cc}\p{Cf}]/u;

const hub: FakeUsbDevice = {
  port: '1-1',
  deviceClass: '09',
  product: 'USB2.1 Hub',
  id: '05e3:0610',
  interfaces: [{ class: '09/00/00', driver: 'hub' }],
};
const mtpCamera: FakeUsbDevice = {
  port: '1-1.2',
  id: '2207:0011',
  manufacturer: 'Acme',
  product: 'BodyCam X2',
  serial: 'BC-1001',
  interfaces: [{ class: '06/01/01', description: 'MTP' }],
};
const hidCamera: FakeUsbDevice = {
  port: '1-1.3',
  product: hostile,
  interfaces: [{ class: '03/00/00', driver: 'usbhid', hidraw: 'hidraw0' }],
};
const keyboard: FakeUsbDevice = {
  port: '2-3',
  id: '046d:c31c',
  product: 'Keyboard',
  speed: '1.5',
  interfaces: [{ class: '03/01/01', driver: 'usbhid', hidraw: 'hidraw1', reportDescriptor: keyboardReports }],
};

let sysfs: FakeSysfs;
let folder: string;
beforeEach(() => {
  sysfs = new FakeSysfs([hub, mtpCamera, hidCamera, keyboard]);
  sysfs.addUart('ttyS0');
  sysfs.addBluetoothHid('hidraw7', 'Presenter');
  folder = mkdtempSync(join(tmpdir(), 'dock-probe-'));
});
afterEach(() => {
  sysfs[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(...args: string[]): ChildProcessWithoutNullStreams {
  const root = args.includes('--host-root') ? [] : ['--host-root', sysfs.root];
  return spawn(process.execPath, [program, ...args, ...root], { cwd: folder, timeout: 60_000 });
}

async function run(...args: string[]): Promise<Outcome> {
  const child = start(...args);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { code: code as number | null, stdout, stderr };
}

async function json<T>(...args: string[]): Promise<T> {
  const { stdout, stderr, code } = await run(...args, '--json');
  expect([stderr, code]).toEqual(['', 0]);
  expect(stdout).not.toMatch(drivesTerminal);
  return JSON.parse(stdout) as T;
}

/** A configuration with bays 1 (the MTP camera), 2 (nothing), and profiles where given. */
function configFile(more = ''): string {
  const file = join(folder, 'config.toml');
  writeFileSync(
    file,
    `[[bay]]\nnumber = 1\nusb_port = "1-1.2" # left\n[[bay]]\nnumber = 2\nusb_port = "1-1.4"\n${more}`,
  );
  return file;
}

describe('dockctl probe', () => {
  test('shows scripts everything that is attached and what it is taken for', async () => {
    const answer = await json<ProbeAnswer>('probe', '--config', configFile());
    expect(answer).toMatchObject({
      configFile: join(folder, 'config.toml'),
      configProblem: null,
      profiles: ['smp-serial', 'smp-hid'],
      usbfsMemoryMb: 16,
      emptyBays: [{ bay: 2, usbPort: '1-1.4' }],
      usb: [
        { portPath: '1-1', hubPortPath: null, isHub: true, takenFor: { kind: 'hub' } },
        {
          portPath: '1-1.2',
          hubPortPath: '1-1',
          vendorId: '2207',
          productId: '0011',
          bay: 1,
          manufacturer: 'Acme',
          product: 'BodyCam X2',
          serialNumber: 'BC-1001',
          speedMbps: 480,
          maxPowerMa: 500,
          isAuthorized: true,
          takenFor: { kind: 'unknown' },
          node: { path: join(sysfs.devRoot, 'bus/usb/001/003'), access: 'read-write' },
          interfaces: [
            { classTriple: '06/01/01', className: 'still image (PTP, MTP)', driver: null, nodes: [] },
          ],
          otherProfiles: [
            { profile: 'smp-serial' },
            { profile: 'smp-hid', reasons: ['there is no interface 03/00/00'] },
          ],
        },
        {
          product: hostile.replace('\u001b', ''),
          bay: null,
          takenFor: { kind: 'camera', profile: 'smp-hid', mode: 0, control: 'smp-hid', unlock: null },
          interfaces: [{ nodes: [{ path: join(sysfs.devRoot, 'hidraw0'), access: 'read-write' }] }],
          otherProfiles: [{ profile: 'smp-serial' }],
        },
        { speedMbps: 1.5, takenFor: { kind: 'stranger', unexpected: ['03/01/01'] } },
      ],
      hid: [
        { usbInterface: '1-1.3:1.0', usage: 'ff00/01' },
        { usbInterface: '2-3:1.0', usage: '0001/06' },
        { usbInterface: null, bus: 'bluetooth', name: 'Presenter' },
      ],
      serial: [{ usbInterface: null, node: { path: join(sysfs.devRoot, 'ttyS0') } }],
    });
  });

  test('shows people the same as a tree, and lets no device drive their terminal', async () => {
    for (const args of [[], ['--verbose']]) {
      const { stdout, stderr, code } = await run('probe', '--config', configFile(), ...args);
      expect([stderr, code]).toEqual(['', 0]);
      expect(stdout).not.toMatch(drivesTerminal);
      for (const line of [
        /^1-1 +USB2\.1 Hub {2}05e3:0610/m,
        /^ {2}1-1\.2 +Acme BodyCam X2 {2}2207:0011 {2}480 Mbit\/s {2}500 mA {2}serial BC-1001 {2}bay 1$/m,
        /UNKNOWN: no profile matches/,
        /not smp-hid: there is no interface 03\/00\/00/,
        /camera: profile smp-hid, mode 1 \(control smp-hid, recordings control\)/,
        /STRANGER: shows 03\/01\/01/,
        /hidraw0 may be opened/,
        /bluetooth {2}Presenter/,
        /serial .*ttyS0 may be opened/,
        /^Bay 2 \(1-1\.4\) is empty\.$/m,
        /16 MiB/,
      ]) {
        expect(stdout).toMatch(line);
      }
      // Of a camera that is recognised only on request.
      const camera = stdout.slice(stdout.indexOf('  1-1.3'), stdout.indexOf('2-3 '));
      expect(/not smp-serial/.test(camera)).toBe(args.length > 0);
    }
  });

  test('tries the profiles of the station, and names those that are broken without giving up', async () => {
    const profiles = join(folder, 'profiles');
    mkdirSync(profiles);
    const file = configFile(`[cameras]\nprofiles = "profiles"\n`);
    writeFileSync(
      join(profiles, 'x2.toml'),
      'name = "x2"\n[[modes]]\nrecordings = "mtp"\nmatch = { vendor_id = "2207" }\n',
    );
    const { usb } = await json<ProbeAnswer>('probe', '--config', file, '--port', '1-1.2');
    expect(usb).toMatchObject([{ takenFor: { kind: 'camera', profile: 'x2' } }]);
    expect((await runPlain('config', 'check', file)).code).toBe(0);

    writeFileSync(join(profiles, 'y.toml'), 'name = "x2"\ncolour = "red"\n');
    const broken = await json<ProbeAnswer>('probe', '--config', file);
    expect(broken.configProblem).toMatchObject({
      code: 'config.invalid',
      message: expect.stringMatching(/y\.toml:2: colour/),
    });
    const check = await runPlain('config', 'check', file, '--json');
    const at = { key: 'colour', line: 2 };
    expect([check.code, JSON.parse(check.stdout)]).toMatchObject([
      1,
      {
        valid: false,
        file: join(profiles, 'y.toml'),
        problems: expect.arrayContaining([expect.objectContaining(at)]),
      },
    ]);
    expect(broken.usb[1]).toMatchObject({ bay: 1, takenFor: { kind: 'unknown' } });
    expect((await run('probe', '--config', join(folder, 'none.toml'))).stdout).toMatch(
      /It cannot be used: .*none/,
    );
  });

  test('says which nodes are missing', async () => {
    rmSync(join(sysfs.devRoot, 'hidraw0'));
    const { stdout } = await run('probe', '--port', '1-1.3');
    expect(stdout).toMatch(/hidraw0 is not there/);
    expect(stdout).not.toMatch(/1-1\.2|ttyS0/);
  });

  test('of an empty port is exit code 1; of no port a wrong usage', async () => {
    const { code, stdout } = await run('probe', '--port', '1-1.9', '--json');
    expect([code, JSON.parse(stdout)]).toMatchObject([1, { usb: [] }]);
    expect((await run('probe', '--port', '1-1.9')).stdout).toMatch(/^Nothing is plugged in at 1-1\.9\./);
    for (const args of [
      ['--port', '../x'],
      ['--draft', 'usb1'],
      ['--output', 'x'],
      ['--draft', '1-1.2', '--dump', 'x'],
    ]) {
      const wrong = await run('probe', ...args, '--json');
      const error = { code: 'control.bad-request' };
      expect([wrong.code, JSON.parse(wrong.stdout)], args.join(' ')).toMatchObject([1, { error }]);
    }
  });

  test('where there is no USB says so', async () => {
    const empty = new FakeSysfs();
    rmSync(join(empty.sysRoot, 'bus'), { recursive: true });
    rmSync(join(empty.sysRoot, 'module'), { recursive: true });
    const { stdout, code } = await run('probe', '--host-root', empty.root);
    empty[Symbol.dispose]();
    expect(code).toBe(0);
    expect(stdout).toBeTruthy();
  });
});

describe('dockctl probe --draft', () => {
  test('prints a profile that makes the device a camera', async () => {
    const { stdout, code } = await run('probe', '--draft', '1-1.2');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^# .*\n# {3}port 1-1\.2: "Acme" "BodyCam X2"/);
    const drafted = cameraProfileSchema.parse(parse(stdout));
    expect(drafted).toMatchObject({ name: 'bodycam-x2', removal: 'never', modes: [{ recordings: 'mtp' }] });

    mkdirSync(join(folder, 'profiles'));
    const file = configFile(`[cameras]\nprofiles = "profiles"\n`);
    const put = ['--output', join(folder, 'profiles', 'x2.toml')];
    expect((await run('probe', '--draft', '1-1.2', ...put)).stdout).toMatch(/^Written: /);
    const { usb } = await json<ProbeAnswer>('probe', '--port', '1-1.2', '--config', file);
    expect(usb[0]?.takenFor).toMatchObject({ kind: 'camera', profile: 'bodycam-x2' });

    const again = await run('probe', '--draft', '1-1.2', ...put);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(/exists already; --force/) });
    expect((await run('probe', '--draft', '1-1.2', ...put, '--force')).code).toBe(0);
  });

  test('puts nothing of a device on the terminal as it is', async () => {
    const { stdout } = await run('probe', '--draft', '1-1.3');
    expect(stdout).not.toMatch(drivesTerminal);
    const [mode] = cameraProfileSchema.parse(parse(stdout)).modes;
    expect(mode?.match.product).toBe(hostile.replace('\u001b', ''));
  });

  test.each([
    ['1-1', 'camera.stranger', /hub/],
    ['2-3', 'camera.stranger', /keyboard/],
    ['1-9', 'control.bad-request', /nothing is plugged in/],
  ])('of port %s is refused', async (port, code, message) => {
    const { stdout, stderr, code: exit } = await run('probe', '--draft', port, '--json');
    expect([exit, JSON.parse(stdout)]).toMatchObject([1, { error: { code } }]);
    expect(stderr).toMatch(message);
  });
});

describe('dockctl probe --dump', () => {
  test('keeps what a bug report needs and not what tells whose machine it is', async () => {
    sysfs.plug({ port: '3-1', product: 'Cam bc-1001 spare', serial: 'BC-1001', interfaces: [] });
    sysfs.plug({ port: '3-2', product: hostile, serial: `\u001b${'z'.repeat(300)}` });
    const file = join(folder, 'dump.json');
    const { stdout, code } = await run('probe', '--dump', file, '--config', configFile());
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^Written: .*\nIt holds: [^]*Serial numbers are repl/),
    ]);
    const content = readFileSync(file, 'utf8');
    expect(content).not.toMatch(drivesTerminal);
    expect(content).not.toMatch(/bc-1001|zzzzz/i);
    for (const secret of [hostname(), folder]) expect(content).not.toContain(secret);
    if (userInfo().username.length > 4) expect(content).not.toContain(userInfo().username);

    const dump = JSON.parse(content) as HardwareDump;
    const entry = (name: string): HardwareDump['usb'][number] | undefined =>
      dump.usb.find((each) => each.name === name);
    const placeholder = 'serial-1 (7 characters: AA-0000)';
    expect(entry('1-1.2')?.attributes).toMatchObject({ idVendor: '2207', serial: placeholder });
    expect(entry('3-1')?.attributes).toMatchObject({
      serial: placeholder,
      product: `Cam ${placeholder} spare`,
    });
    expect(entry('3-2')?.attributes['serial']).toMatch(/\?a\{\d+\}/);
    expect(entry('1-1.2')?.descriptors).toMatch(/^1201/);
    expect(entry('1-1.2:1.0')).toMatchObject({ descriptors: null, attributes: { interface: 'MTP' } });
    expect(entry('usb1')).toBeDefined();
    expect(dump).toMatchObject({
      formatVersion: 1,
      bays: { '1-1.2': 1 },
      takenFor: { '2-3': { kind: 'stranger' } },
    });

    expect(await run('probe', '--dump', file)).toMatchObject({ code: 1, stdout: '' });
    expect(readFileSync(file, 'utf8')).toBe(content);
    expect((await run('probe', '--dump', file, '--force')).code).toBe(0);
  });
});

describe('dockctl bays learn', () => {
  const camera = (port: string): FakeUsbDevice => ({ ...mtpCamera, port });

  /** Runs with standard output and error as they come. */
  function learn(...args: string[]): {
    child: ChildProcessWithoutNullStreams;
    seen: () => string;
    out: () => string;
  } {
    const child = start('bays', 'learn', ...args);
    let seen = '';
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => ((seen += chunk.toString()), (out += chunk.toString())));
    child.stderr.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    return { child, seen: () => seen, out: () => out };
  }

  test('asks for one bay after the other and prints the entries', async () => {
    const { child, seen, out } = learn('--count', '2');
    await until(() => seen().includes('bay 1'));
    sysfs.plug(camera('1-1.1'));
    await until(() => seen().includes('bay 2'));
    expect(seen()).toMatch(/Bay 1 is port 1-1\.1: Acme BodyCam X2/);
    sysfs.unplug('1-1.1');
    await wait(700);
    sysfs.plug(camera('1-1.1'));
    await until(() => seen().includes('is bay 1 already'));
    sysfs.plug({ ...hub, port: '1-4' });
    sysfs.plug(camera('1-4.2'));
    expect(await exitOf(child)).toEqual([0, null]);
    expect(parseConfig(out(), 'x').bay).toMatchObject([
      { number: 1, usb_port: '1-1.1' },
      { number: 2, usb_port: '1-4.2' },
    ]);
    expect(seen()).toMatch(/bay-ports: 1-1\.1 1-4\.2/);
  });

  test('ended by Ctrl-C keeps what was learned, and writes it where asked', async () => {
    const file = configFile('# the end\n');
    const { child, seen } = learn('--from', '2', '--write', '--config', file);
    await until(() => seen().includes('bay 2'));
    sysfs.plug(camera('1-1.7'));
    await until(() => seen().includes('bay 3'));
    child.kill('SIGINT');
    expect(await exitOf(child)).toEqual([0, null]);
    const before = readFileSync(`${file}.bak`, 'utf8');
    expect(readFileSync(file, 'utf8')).toBe(before.replace('1-1.4', '1-1.7'));
    const list = join(sysfs.root, 'etc/docking-station/bay-ports');
    expect(readFileSync(list, 'utf8')).toBe('1-1.2\n1-1.7\n');
    expect(seen()).not.toMatch(/systemctl/);
  });

  test('says that a running agent must be started anew', async () => {
    const socket = join(folder, 'agent.sock');
    const agent = createServer((_request, response) => response.end('{"kind":"result","result":{}}\n'));
    await once(agent.listen(socket), 'listening');
    const { child, seen } = learn('--count', '1', '--write', '--config', configFile(), '--socket', socket);
    await until(() => seen().includes('bay 1'));
    sysfs.plug(camera('1-1.7'));
    expect(await exitOf(child)).toEqual([0, null]);
    agent.close();
    expect(seen()).toMatch(/The agent runs with the bays of before: systemctl restart dock-agent/);
  });

  test('without a folder for the list of the helper says what to put there', async () => {
    rmSync(join(sysfs.root, 'etc'), { recursive: true });
    const { child, seen } = learn('--count', '1', '--write', '--config', join(folder, 'new.toml'));
    await until(() => seen().includes('bay 1'));
    sysfs.plug(camera('1-1.7'));
    expect(await exitOf(child)).toEqual([0, null]);
    expect(seen()).toMatch(/Not written: .*bay-ports\. Put these ports there, one a line, as root: 1-1\.7/);
    expect(readFileSync(join(folder, 'new.toml'), 'utf8')).toBe('[[bay]]\nnumber = 1\nusb_port = "1-1.7"\n');
  });

  test('shows what was learned before it fails to write it', async () => {
    const file = configFile();
    const before = readFileSync(file, 'utf8');
    const { child, seen, out } = learn('--count', '1', '--from', '2', '--write', '--config', file);
    await until(() => seen().includes('bay 2'));
    sysfs.unplug('1-1.2');
    await wait(700);
    sysfs.plug(mtpCamera);
    expect(await exitOf(child)).toEqual([1, null]);
    expect(out()).toBe('[[bay]]\nnumber = 2\nusb_port = "1-1.2"\n');
    expect(seen()).toMatch(/port 1-1\.2 is already used by bay\[0\].*\[config\.invalid\]/s);
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect(existsSync(`${file}.bak`)).toBe(false);
  });

  test('gives scripts a line for each step', async () => {
    const { child, out } = learn('--count', '1', '--json');
    await until(() => out().includes('asked'));
    sysfs.plug({ ...hidCamera, port: '1-1.8', interfaces: [{ class: '03/00/00' }] });
    expect(await exitOf(child)).toEqual([0, null]);
    const lines = out()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([
      { kind: 'asked', bay: 1 },
      { kind: 'learned', bay: 1, usbPort: '1-1.8' },
      { bays: [{ number: 1, usbPort: '1-1.8' }], written: null } satisfies Partial<LearnResult>,
    ]);
    expect(out()).not.toMatch(drivesTerminal);
  });

  test('on a terminal skips a bay with Enter', async () => {
    const argv = [program, 'bays', 'learn', '--count', '2', '--host-root', sysfs.root];
    const terminal = spawnOnTerminal(process.execPath, argv, { cwd: folder, cols: 200 });
    let seen = '';
    terminal.onData((chunk) => (seen += chunk));
    const ended = new Promise<number>((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode)));
    await until(() => seen.includes('bay 1'));
    expect(seen).toMatch(/Enter skips it, Ctrl-C ends/);
    terminal.write('\r');
    await until(() => seen.includes('bay 2'));
    terminal.write('\u0003');
    expect(await ended).toBe(0);
    expect(seen).toMatch(/No bay was learned/);
  });

  test('leaves dockctl bays as it was', async () => {
    const { code, stdout } = await runPlain('bays', '--json', '--socket', join(folder, 'none.sock'));
    expect([code, JSON.parse(stdout)]).toMatchObject([2, { error: { code: 'control.agent-down' } }]);
    for (const args of [
      ['bays', '--help'],
      ['bays', 'learn', '--help'],
      ['probe', '--help'],
    ]) {
      const help = await runPlain(...args);
      expect(help.stdout).toMatch(/^Usage: dockctl (bays|probe)/);
      expect(help.stdout).not.toMatch(/host-root/);
    }
    for (const args of [
      ['--from', '0'],
      ['--count', 'x'],
      ['--from', '999', '--count', '2'],
    ]) {
      expect((await run('bays', 'learn', ...args)).code).toBe(1);
    }
  });
});

describe('learning bays', () => {
  const at = (portPath: string, address = 5, isHub = false): never => ({ portPath, address, isHub }) as never;

  test('takes only what stays for a second, on a port that was seen empty', () => {
    const learner = new BayLearner([at('1-1', 2, true), at('1-1.1')], { from: 1, count: 9 });
    expect(learner.look([at('1-1.1')], 0)).toBeUndefined();
    // The one that was there all along, under a new address: nobody saw its port empty.
    expect(learner.look([at('1-1.1', 6)], 2000)).toBeUndefined();
    expect(learner.look([at('1-1.1', 6), at('1-1.2', 7)], 3000)).toBeUndefined();
    // Contacts bounce: it starts over.
    expect(learner.look([at('1-1.1', 6), at('1-1.2', 8)], 3900)).toBeUndefined();
    expect(learner.look([at('1-1.1', 6), at('1-1.2', 8)], 4500)).toBeUndefined();
    expect(learner.look([at('1-1.1', 6), at('1-1.2', 8)], 4900)).toMatchObject({ kind: 'learned', bay: 1 });
    expect(learner.look([], 5000)).toBeUndefined();
    learner.look([at('1-1.1', 9)], 5100);
    expect(learner.look([at('1-1.1', 9)], 6100)).toMatchObject({ kind: 'learned', bay: 2 });
    expect(learner.learned).toEqual([
      { number: 1, usbPort: '1-1.2' },
      { number: 2, usbPort: '1-1.1' },
    ]);
  });

  test('takes none of several that came together until one is left', () => {
    const learner = new BayLearner([], { from: 4, count: 1 });
    learner.look([at('1-1'), at('1-2')], 0);
    expect(learner.look([at('1-1'), at('1-2')], 1000)).toMatchObject({ kind: 'several' });
    expect(learner.look([at('1-1'), at('1-2')], 2000)).toBeUndefined();
    expect(learner.look([at('1-2')], 2300)).toMatchObject({ kind: 'learned', bay: 4 });
    expect(learner.bay).toBeUndefined();
    expect(learner.look([at('1-2'), at('1-3')], 9000)).toBeUndefined();
  });

  test('skips bays and ends with the last', () => {
    const learner = new BayLearner([], { from: 1, count: 2 });
    learner.skip();
    expect(learner.bay).toBe(2);
    learner.skip();
    learner.skip();
    expect([learner.bay, learner.learned]).toEqual([undefined, []]);
  });
});

async function runPlain(...args: string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [program, ...args], { cwd: folder, timeout: 60_000 });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { code: code as number | null, stdout, stderr };
}

function exitOf(child: ChildProcessWithoutNullStreams): Promise<unknown[]> {
  return child.exitCode === null && child.signalCode === null
    ? once(child, 'close')
    : Promise.resolve([child.exitCode, child.signalCode]);
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 50_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error('waited too long');
    await wait(20);
  }
}
