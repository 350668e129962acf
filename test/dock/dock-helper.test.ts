// The privileged helper runs as root on requests of an agent that reads untrusted cameras: what it refuses matters
// more than what it does. Nothing here needs root; what does is in test/usb/mass-storage.lab.test.ts.
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PrivilegedHelper } from '../../dock/host/privileged-helper.ts';
import { systemClock } from '../../dock/host/system-clock.ts';

const helperPath = new URL('../../dock/host/dock-helper.sh', import.meta.url).pathname;
const policyPath = new URL('../../dock/host/dock-usb-policy.sh', import.meta.url).pathname;

let folder = '';
let sys = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'helper-'));
  sys = join(folder, 'sys');
  await mkdir(sys);
  await writeFile(join(folder, 'bay-ports'), '1-1.2\n1-2\n');
  return () => rm(folder, { recursive: true });
});

/** Files of a sysfs tree by path. */
async function put(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(sys, name)), { recursive: true });
    await writeFile(join(sys, name), `${content}\n`);
  }
}

const content = async (name: string): Promise<string> => (await readFile(join(sys, name), 'utf8')).trim();

const environment = (): Record<string, string> => ({
  DOCK_BAY_PORTS: join(folder, 'bay-ports'),
  DOCK_MOUNTS: join(folder, 'mounts'),
  DOCK_SYS: sys,
  DOCK_USER: 'root',
});

async function runScript(
  path: string,
  args: readonly string[],
  input: string | Uint8Array = '',
): Promise<string> {
  const env = environment();
  return new Promise((resolve, reject) => {
    const child = execFile(path, args, { env, timeout: 60_000 }, (error, stdout) => {
      if (error?.killed) reject(error);
      else resolve(stdout);
    });
    child.stdin?.on('error', () => undefined); // it hangs up on what it does not want to read
    child.stdin?.end(input);
  });
}

const ask = (request: string | Uint8Array): Promise<string> => runScript(helperPath, [], request);
const udev = (...args: string[]): Promise<string> => runScript(policyPath, args);

describe('The privileged helper', () => {
  test.for([
    '',
    '\n',
    'mount',
    'mount 1-1.2',
    'mount 1-1.2 x',
    'mount 1-1.2 0',
    'mount 1-1.2 -1',
    'mount 1-1.2 7 0 0',
    'mount 1-1.2 99999999999999999999',
    'mount  1-1.2 7',
    ' mount 1-1.2 7',
    'mount 1-1.2\t7',
    'MOUNT 1-1.2 7',
    'mount 1-1.2 7\r',
    'mount 1-1.2 7;id',
    'mount 1-1.2 $(id)',
    'mount 1-1.2 `id`',
    'mount 1-1.2 7 | id',
    'mount 1-1.2 7 &',
    'mount 1-1.2 *',
    'mount ../1-1.2 7',
    'mount /dev/sda 7',
    'mount .. 7',
    'mount 1-1.2/.. 7',
    'mount 1-1..2 7',
    'mount 1- 7',
    'mount -1 7',
    'mount --help 7',
    'mount 1-1.2.1.1.1.1.1.1 7',
    'unmount 1-1.2 ..',
    'unmount *',
    'power-cycle 1-0:1.0',
    'usbfs-memory 8',
    'usbfs-memory 2048',
    'usbfs-memory 016',
    'usbfs-memory -1',
    'authorize 1-1.2',
    'bay-of /devices/usb1',
    'window_seconds 1',
    `mount 1-1.2 ${'7'.repeat(10_000)}`,
    'm'.repeat(1_000_000),
    'mount 1-1.2 7\\',
    'mount "1-1.2" 7',
    "mount '1-1.2' 7",
    'mount ${IFS} 7',
    'mount 1-1.2 7 ü',
  ])('refuses %j as malformed', async (request) => {
    const answer = await ask(`${request}\n`);
    expect(answer).toMatch(/^refused malformed .*\n$/);
  });

  test('says nothing to who says nothing', async () => {
    expect(await ask('')).toBe('');
  });

  test.for(['1-1', '1-1.1', '1-1.20', '1-1.2.1', '1-3', '11-1.2'])(
    'refuses port %s, which is no bay',
    async (port) => {
      for (const request of [
        `mount ${port} 7`,
        `writable ${port} 7`,
        `unmount ${port}`,
        `power-cycle ${port}`,
      ]) {
        expect(await ask(`${request}\n`)).toMatch(/^refused not-a-bay /);
      }
    },
  );

  test('answers the first line alone, whatever follows it', async () => {
    const answer = await ask('power-cycle 1-1\npower-cycle 1-2\nunmount 1-2\n');
    expect(answer).toMatch(/^refused not-a-bay [^\n]*\n$/);
  });

  test('takes bytes that are no text for what they are', async () => {
    expect(await ask(Uint8Array.of(0xff, 0xfe, 0, 0x0a))).toMatch(/^refused malformed /);
    expect(await ask(Uint8Array.from({ length: 5000 }, (_, index) => (index * 31) % 256))).toMatch(
      /^(refused malformed .*\n)?$/,
    );
  });

  test('has no bays without a list of them', async () => {
    await rm(join(folder, 'bay-ports'));
    expect(await ask('mount 1-1.2 7\n')).toMatch(/^refused not-a-bay /);
  });

  test('mounts nothing but a disk of the attach it was asked for', async () => {
    expect(await ask('mount 1-1.2 7\n')).toMatch(/^refused no-device /);
    const disk = 'bus/usb/devices/1-1.2/1-1.2:1.0/host0/target0:0:0/0:0:0:0/block/sda';
    await put({ 'bus/usb/devices/1-1.2/1-1.2:1.0/bInterfaceClass': '08', [`${disk}/diskseq`]: '8' });
    expect(await ask('mount 1-1.2 7\n')).toMatch(/^refused stale /);
    expect(await ask('mount 1-1.2 8 1\n')).toMatch(/^refused stale /);
    await put({ 'bus/usb/devices/1-1.2/1-1.2:1.0/bInterfaceClass': 'ff' });
    expect(await ask('mount 1-1.2 8\n')).toMatch(/^refused stale /);
  });

  test('knows a disk without a medium', async () => {
    const disk = 'bus/usb/devices/1-1.2/1-1.2:1.0/host0/target0:0:0/0:0:0:0/block/sda';
    await put({
      'bus/usb/devices/1-1.2/1-1.2:1.0/bInterfaceClass': '08',
      [`${disk}/diskseq`]: '8',
      'class/block/sda/diskseq': '8',
      'class/block/sda/size': '0',
    });
    expect(await ask('mount 1-1.2 8\n')).toMatch(/^refused no-medium /);
    expect(await ask('writable 1-1.2 8\n')).toMatch(/^refused not-mounted /);
  });

  test('unmounts what is not mounted without complaint', async () => {
    expect(await ask('unmount 1-1.2\n')).toBe('ok\n');
    expect(await ask('unmount 1-1.2 0\n')).toBe('ok\n');
  });

  test('switches ports behind hubs and of root hubs off and on, with the other half of a USB 3 port', async () => {
    expect(await ask('power-cycle 1-1.2\n')).toMatch(/^refused no-switch /);
    await put({
      'bus/usb/devices/1-1:1.0/1-1-port2/disable': 'x',
      'peer/disable': 'x',
      'bus/usb/devices/1-0:1.0/usb1-port2/disable': 'x',
    });
    await symlink(join(sys, 'peer'), join(sys, 'bus/usb/devices/1-1:1.0/1-1-port2/peer'));
    expect(await ask('power-cycle 1-1.2\n')).toBe('ok\n');
    expect(await content('bus/usb/devices/1-1:1.0/1-1-port2/disable')).toBe('0');
    expect(await content('peer/disable')).toBe('0');
    expect(await content('bus/usb/devices/1-0:1.0/usb1-port2/disable')).toBe('x');
    expect(await ask('power-cycle 1-2\n')).toBe('ok\n');
    expect(await content('bus/usb/devices/1-0:1.0/usb1-port2/disable')).toBe('0');
  });

  test('leaves no port off when it is stopped meanwhile', async () => {
    const disable = 'bus/usb/devices/1-1:1.0/1-1-port2/disable';
    await put({ [disable]: 'x' });
    const child = spawn(helperPath, { env: environment(), stdio: ['pipe', 'ignore', 'ignore'] });
    const exited = once(child, 'exit');
    child.stdin.end('power-cycle 1-1.2\n');
    await expect.poll(() => content(disable), { interval: 10 }).toBe('1');
    child.kill('SIGTERM');
    await exited;
    expect(await content(disable)).toBe('0');
  });

  test('raises the USB memory limit, never lowers it', async () => {
    await put({ 'module/usbcore/parameters/usbfs_memory_mb': '16' });
    expect(await ask('usbfs-memory 200\n')).toBe('ok mib=200\n');
    expect(await ask('usbfs-memory 100\n')).toBe('ok mib=200\n');
    await put({ 'module/usbcore/parameters/usbfs_memory_mb': '0' });
    expect(await ask('usbfs-memory 100\n')).toBe('ok mib=0\n');
  });

  test.skip('mounts, windows, unplugs: needs root and a USB stack, see test/usb/mass-storage.lab.test.ts', () =>
    undefined);
});

describe('The policy for devices in bays', () => {
  const devices = 'devices/pci0/usb1';

  /** A device with interfaces, as triples or a triple and its string; answers whether each may be used then. */
  async function plugged(
    path: string,
    triples: readonly (string | readonly [string, string])[],
    {
      expected = ` ${triples.length}`,
      drivers = [],
    }: { expected?: string; drivers?: readonly (string | undefined)[] } = {},
  ): Promise<string[]> {
    const port = path.replace(/.*\//, '');
    await put({ [`${devices}/${path}/bNumInterfaces`]: expected, 'bus/usb/drivers_probe': '' });
    for (const [index, entry] of triples.entries()) {
      const [triple, description = ''] = typeof entry === 'string' ? [entry] : entry;
      const [cls = '', subclass = '', protocol = ''] = triple.split('/');
      const at = `${devices}/${path}/${port}:1.${index}`;
      await put({
        [`${at}/bInterfaceClass`]: cls,
        [`${at}/bInterfaceSubClass`]: subclass,
        [`${at}/bInterfaceProtocol`]: protocol,
        [`${at}/interface`]: description,
        [`${at}/authorized`]: '0',
      });
      const driver = drivers[index];
      if (driver !== undefined) await symlink(join(sys, 'bus/usb/drivers', driver), join(sys, at, 'driver'));
    }
    await udev('authorize', `/${devices}/${path}/${port}:1.${triples.length - 1}`);
    return Promise.all(
      triples.map((_, index) => content(`${devices}/${path}/${port}:1.${index}/authorized`)),
    );
  }

  test.for<[string, (string | readonly [string, string])[]]>([
    ['MTP', ['06/01/01']],
    ['a disk', ['08/06/50']],
    ['a UAS disk', ['08/06/62']],
    ['a serial line', ['02/02/01', '0a/00/00']],
    ['HID', ['03/00/00']],
    ['MTP by its name', [['ff/ff/00', 'MTP']]],
    ['all of these', ['06/01/01', '08/06/50', '02/02/01', '0a/00/00', '03/00/00']],
  ])('allows %s', async ([, triples]) => {
    expect(await plugged('1-1/1-1.2', triples)).toEqual(triples.map(() => '1'));
  });

  test.for<[string, (string | readonly [string, string])[]]>([
    ['a boot keyboard', ['03/01/01']],
    ['a boot mouse', ['03/01/02']],
    ['a hub', ['09/00/00']],
    ['audio', ['01/01/00']],
    ['a network card', ['02/06/00', '0a/00/00']],
    ['NCM', ['02/0d/00', '0a/00/01']],
    ['RNDIS that looks like a serial line', ['02/02/ff', '0a/00/00']],
    ['wireless', ['e0/01/03']],
    ['something of its maker', [['ff/42/01', 'adb']]],
    ['another disk protocol', ['08/05/00']],
  ])('leaves %s alone, and all else of the device that shows it', async ([, triples]) => {
    expect(await plugged('1-1/1-1.2', triples)).toEqual(triples.map(() => '0'));
    expect(await plugged('1-2', ['06/01/01', ...triples])).toEqual(['0', ...triples.map(() => '0')]);
  });

  test('waits until all interfaces of a device are known', async () => {
    expect(await plugged('1-1/1-1.2', ['06/01/01'], { expected: ' 2' })).toEqual(['0']);
    expect(await plugged('1-1/1-1.2', ['06/01/01', '03/01/01'])).toEqual(['0', '0']);
    expect(await plugged('1-2', ['06/01/01', '08/06/50'])).toEqual(['1', '1']);
  });

  test.for(['', ' ', 'x', '-1', '1 1', '9999999999999999999999'])(
    'allows nothing of a device with %j interfaces',
    async (expected) => {
      expect(await plugged('1-1/1-1.2', ['08/06/50'], { expected })).toEqual(['0']);
    },
  );

  test.for(['r8152', 'ftdi_sio', 'ums-realtek'])(
    'takes the permission back from a device that %s binds by its ids',
    async (driver) => {
      const triples = ['08/06/50', ['ff/ff/00', 'MTP']] as const;
      expect(await plugged('1-1/1-1.2', triples, { drivers: ['usb-storage', driver] })).toEqual(['0', '0']);
    },
  );

  test('lets the drivers of cameras and programs have a device, whenever they bind', async () => {
    const drivers = ['usb-storage', 'uas', 'cdc_acm', 'cdc_acm', 'usbhid', 'usbfs', undefined];
    const triples = ['08/06/50', '08/06/62', '02/02/01', '0a/00/00', '03/00/00', '06/01/01', '06/01/01'];
    const allowed = triples.map(() => '1');
    expect(await plugged('1-1/1-1.2', triples, { drivers })).toEqual(allowed);
    const at = (index: number): string => `${devices}/1-1/1-1.2/1-1.2:1.${index}`;
    const allowedNow = (): Promise<string[]> =>
      Promise.all(triples.map((_, index) => content(`${at(index)}/authorized`)));
    await udev('bound', `/${at(4)}`);
    expect(await allowedNow()).toEqual(allowed);
    await symlink(join(sys, 'bus/usb/drivers/r8152'), join(sys, at(6), 'driver'));
    await udev('bound', `/${at(6)}`);
    expect(await allowedNow()).toEqual(triples.map(() => '0'));
  });

  test('leaves the drivers of what is in no bay alone', async () => {
    const drivers = ['r8152'];
    expect(await plugged('1-1/1-1.1', ['ff/ff/00'], { drivers })).toEqual(['1']);
    await udev('bound', `/${devices}/1-1/1-1.1/1-1.1:1.0`);
    expect(await content(`${devices}/1-1/1-1.1/1-1.1:1.0/authorized`)).toBe('1');
  });

  test('allows what is in no bay, and nothing behind a hub in a bay', async () => {
    expect(await plugged('1-1', ['09/00/00'])).toEqual(['1']);
    expect(await plugged('1-1/1-1.1', ['03/01/01'])).toEqual(['1']);
    expect(await plugged('1-2/1-2.1', ['06/01/01'])).toEqual(['0']);
  });

  test('leaves busses without bays as they are', async () => {
    await put({
      'devices/pci0/usb1/interface_authorized_default': '1',
      'devices/pci0/usb11/interface_authorized_default': '1',
    });
    await udev('authorize', '/devices/pci0/usb1');
    await udev('authorize', '/devices/pci0/usb11');
    expect(await content('devices/pci0/usb1/interface_authorized_default')).toBe('0');
    expect(await content('devices/pci0/usb11/interface_authorized_default')).toBe('1');
  });

  test('takes the permission back when the kernel makes a keyboard of something', async () => {
    expect(await plugged('1-1/1-1.2', ['08/06/50', '03/00/00'])).toEqual(['1', '1']);
    await udev('revoke', `/${devices}/1-1/1-1.2/1-1.2:1.1/0003:1D6B:0104.0001/input/input5`);
    expect(await content(`${devices}/1-1/1-1.2/1-1.2:1.0/authorized`)).toBe('0');
    expect(await content(`${devices}/1-1/1-1.2/1-1.2:1.1/authorized`)).toBe('0');
  });

  test('says which bay something hangs on', async () => {
    const below = '/devices/pci0/usb1/1-1/1-1.2/1-1.2:1.0/host0/target0:0:0/0:0:0:0/block/sda';
    expect(await udev('bay-of', below)).toBe('DOCK_BAY=1-1.2\n');
    expect(await udev('bay-of', '/devices/pci0/usb1/1-1/1-1.1')).toBe('');
  });

  test.for(['', 'devices/usb1', '/devices/../etc', '/devices/usb1;id', '/devices/usb1 x', '/etc/passwd'])(
    'does nothing for the path %j',
    async (path) => {
      expect(await udev('authorize', path)).toBe('');
      expect(await udev('bay-of', path)).toBe('');
    },
  );
});

describe('The client of the helper', () => {
  let server: Server;
  let socketPath = '';
  let answers: string[] = [];
  let isSilent = false;
  let hangUps = 0;
  const asked: string[] = [];
  const disk = { portPath: '1-1.2', diskSequence: 7 };

  beforeAll(async () => {
    socketPath = join(await mkdtemp(join(tmpdir(), 'socket-')), 's');
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('close', () => hangUps++);
      socket.on('data', (data) => {
        asked.push(String(data));
        if (isSilent) return;
        const answer = answers.shift();
        if (answer === undefined) socket.destroy();
        else socket.write(answer);
      });
    });
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  });
  afterAll(() => {
    server.close();
  });

  const helper = (): PrivilegedHelper => new PrivilegedHelper(systemClock, { socketPath });
  const mounted = 'ok folder=/run/dock-mounts/1-1.2.0 type=vfat dirty=0 device=sda1 lun=0\n';

  test('reads what was mounted', async () => {
    answers = [mounted];
    expect(await helper().mount(disk)).toEqual({
      folder: '/run/dock-mounts/1-1.2.0',
      fileSystem: 'vfat',
      isDirty: false,
      device: 'sda1',
      logicalUnit: 0,
    });
    expect(asked.at(-1)).toBe('mount 1-1.2 7\n');
  });

  test.for([
    ['refused no-medium sda has no medium', 'mount.no-medium'],
    ['refused stale no disk', 'link.closed'],
    ['refused no-device none', 'link.closed'],
    ['failed gone the device is gone', 'link.closed'],
    ['refused dirty not unmounted', 'removal.refused'],
    ['refused unsupported no FAT', 'mount.refused'],
    ['failed broken cannot mount', 'mount.refused'],
    ['refused', 'mount.refused'],
    ['what?', 'mount.helper-missing'],
    ['ok', 'mount.helper-missing'],
    ['ok folder=/x type=ext4 dirty=0 device=sda lun=0', 'mount.helper-missing'],
    ['x'.repeat(5000), 'mount.helper-missing'],
  ] as const)('takes the answer %j for %s', async ([answer, code]) => {
    answers = [`${answer}\n`];
    await expect(helper().mount(disk)).rejects.toMatchObject({ code });
  });

  test('says that the helper is missing when nobody answers, or hangs up', async () => {
    answers = [];
    await expect(helper().mount(disk)).rejects.toMatchObject({ code: 'mount.helper-missing' });
    const nobody = new PrivilegedHelper(systemClock, { socketPath: join(folder, 'none') });
    await expect(nobody.unmount('1-1.2')).rejects.toMatchObject({ code: 'mount.helper-missing' });
  });

  test('hangs up as soon as nobody waits for an answer any more', async () => {
    isSilent = true;
    const requests: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => helper().mount(disk, signal),
      (signal) => helper().writable(disk, signal),
      (signal) => helper().unmount('1-1.2', 0, signal),
      (signal) => helper().powerCycle('1-1.2', signal),
    ];
    for (const request of requests) {
      const stop = new AbortController();
      const before = { asked: asked.length, hangUps };
      const answer = request(stop.signal);
      answer.catch(() => undefined);
      await expect.poll(() => asked.length).toBe(before.asked + 1);
      stop.abort(new Error('stop'));
      await expect(answer).rejects.toThrow('stop');
      await expect.poll(() => hangUps).toBe(before.hangUps + 1);
      await expect(request(stop.signal)).rejects.toThrow('stop');
    }
    isSilent = false;
  });

  test('keeps one connection for a window, and gives the word to close it', async () => {
    answers = [mounted, mounted];
    const window = await helper().writable(disk);
    expect(window.volume.device).toBe('sda1');
    await window.close();
    expect(asked.slice(-2)).toEqual(['writable 1-1.2 7\n', 'close\n']);
    answers = [mounted, 'failed broken the volume was left dirty\n'];
    const broken = await helper().writable(disk);
    await expect(broken.close()).rejects.toMatchObject({ code: 'mount.refused' });
    await expect(broken.close()).rejects.toMatchObject({ code: 'mount.helper-missing' });
  });
});
