// Cameras that show themselves as disks, with the kernel's file systems, the privileged helper behind its socket, and
// an agent without privileges: what a temporary folder cannot show is what happens to a mount when a cable is pulled.
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readUsbDevice } from '../../dock/host/usb-tree.ts';
import { makeDiskImage, mountImage } from './disk-image.ts';
import { acmGadget, hidGadget, keyboardGadget, massStorageGadget } from './gadgets.ts';
import { installUdevRules, startHelper, type LabInstallation } from './lab-installation.ts';
import { attributeOf, portPathOfUdc, run, scratchFolder, until, usbDevices } from './lab.ts';

const mebibyte = 1024 * 1024;
const project = new URL('../..', import.meta.url).pathname;
const bayUdcs = [4, 5];
const nobody = 65_534;

let bays: string[];
let helper: LabInstallation;

beforeAll(async () => {
  bays = await Promise.all(bayUdcs.map(portPathOfUdc));
  helper = await startHelper(bays);
});

afterAll(async () => {
  await helper[Symbol.asyncDispose]();
});

/** An agent on a port, as a user who may do nothing but ask the helper. */
class Agent implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  /** Node ends seldom with a signal at its start in the emulator, why is not known: then again, and it is told. */
  static async start(portPath: string): Promise<Agent> {
    for (let attempt = 1; ; attempt++) {
      const agent = new Agent(portPath);
      if ((await agent.ask('ready')) === 'ready') return agent;
      await agent[Symbol.asyncDispose]();
      const { signalCode, exitCode } = agent.#process;
      if (signalCode === null || attempt === 3)
        throw new Error(`the agent ended with ${signalCode ?? exitCode}`);
      console.warn(`the agent ended with ${signalCode} at its start; started again`);
    }
  }

  private constructor(portPath: string) {
    const program = [
      process.execPath,
      join(project, 'test/usb/mass-storage-agent.ts'),
      portPath,
      helper.helperSocket,
    ];
    const unprivileged = ['--reuid', `${nobody}`, '--regid', `${nobody}`, '--clear-groups', '--no-new-privs'];
    this.#process = spawn('setpriv', [...unprivileged, '--', ...program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (!this.#process.stdout) throw new Error('no output');
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** The result, or the code of the error. */
  async ask<Result = unknown>(...command: string[]): Promise<Result> {
    this.#process.stdin?.write(`${JSON.stringify(command)}\n`);
    const { value } = await this.#lines.next();
    const answer = JSON.parse(value ?? '{"error":"died"}') as { result?: Result; error?: Result };
    return (answer.error ?? answer.result) as Result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'exit');
    this.#process.stdin?.end();
    await (this.#process.exitCode === null && this.#process.signalCode === null ? ended : undefined);
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const hashOf = async (path: string): Promise<string> => sha256(await readFile(path));
const video = Buffer.alloc(3 * mebibyte + 17, 'Қазақстан ');

async function fill(folder: string): Promise<void> {
  await mkdir(join(folder, 'DCIM/100'), { recursive: true });
  for (const [name, content] of Object.entries({
    'DCIM/100/A.MP4': video,
    'DCIM/100/B.MP4': Buffer.from('b'),
    'DCIM/100/Бейне жазба.MP4': Buffer.from('c'),
    'DCIM/EMPTY.MP4': Buffer.alloc(0),
    'log.txt': Buffer.from('no recording'),
  })) {
    await writeFile(join(folder, name), content);
    await utimes(join(folder, name), 1_800_000_000, 1_800_000_000);
  }
}

const paths = ['/DCIM/EMPTY.MP4', '/DCIM/100/A.MP4', '/DCIM/100/B.MP4', '/DCIM/100/Бейне жазба.MP4'];
type Listed = { path: string; endedAt: number }[];
const pathsOf = (listed: Listed): string[] => listed.map(({ path }) => path);

async function dockedDisk(image: string, udc = 4, serialNumber = 'BC-77') {
  const gadget = await massStorageGadget({ udc, serialNumber, units: [{ image }] });
  await gadget.plug();
  return gadget;
}

for (const [name, options] of Object.entries({
  'FAT32 on the bare disk': { format: 'fat32', isPartitioned: false },
  'exFAT in a partition': { format: 'exfat', isPartitioned: true },
} as const)) {
  test(`${name}: is pulled without privileges, and not one bit of it changes`, async () => {
    await using folder = await scratchFolder();
    const image = join(folder.path, 'card.img');
    await makeDiskImage(image, { ...options, fill });
    const before = await hashOf(image);
    await using camera = await dockedDisk(image);
    await using agent = await Agent.start(camera.portPath);
    const [mount] = await agent.ask<{ folder: string }[]>('open');
    expect(mount).toMatchObject({
      folder: `/run/dock-mounts/${camera.portPath}.0`,
      fileSystem: options.format === 'fat32' ? 'vfat' : 'exfat',
      isDirty: false,
    });
    const mountOptions = await run('findmnt', '-rn', '-M', mount?.folder ?? '', '-o', 'OPTIONS');
    for (const option of ['ro', 'nosuid', 'nodev', 'noexec', 'noatime']) {
      expect(mountOptions.split(',')).toContain(option);
    }
    const listed = await agent.ask<Listed>('list');
    expect(pathsOf(listed)).toEqual(paths);
    // FAT keeps local time, mounted as UTC; exFAT as Linux writes it keeps UTC. Both are read five hours off.
    expect(listed[1]?.endedAt).toBe(1_800_000_000_000 - 5 * 3_600_000);
    expect(await agent.ask('read', '/DCIM/100/A.MP4')).toBe(sha256(video));
    expect(await agent.ask('read', '/DCIM/100/Бейне жазба.MP4')).toBe(sha256(Buffer.from('c')));
    expect(await agent.ask('health')).toMatchObject({ errorCounters: {} });
    await agent.ask('close');
    await camera.unplug();
    expect(await hashOf(image)).toBe(before);
  });

  test(`${name}: removes what was pulled and nothing else, and is clean afterwards`, async () => {
    await using folder = await scratchFolder();
    const image = join(folder.path, 'card.img');
    await makeDiskImage(image, { ...options, fill });
    await using camera = await dockedDisk(image);
    await using agent = await Agent.start(camera.portPath);
    await agent.ask('open');
    await agent.ask('list');
    expect(await agent.ask('remove', '/DCIM/100/B.MP4', sha256(Buffer.from('another')))).toBe(
      'removal.refused',
    );
    await agent.ask('read', '/DCIM/100/A.MP4');
    expect(await agent.ask('remove', '/DCIM/100/A.MP4', sha256(video))).toBeNull();
    expect(await agent.ask('remove', '/DCIM/100/Бейне жазба.MP4', sha256(Buffer.from('c')))).toBeNull();
    expect(pathsOf(await agent.ask<Listed>('list'))).toEqual(['/DCIM/EMPTY.MP4', '/DCIM/100/B.MP4']);
    const disk = (await readUsbDevice(camera.portPath))?.interfaces[0]?.blockDevices[0];
    expect(disk?.isReadOnly).toBe(true);
    await agent.ask('close');
    expect(await run('findmnt', '-rn', '-o', 'TARGET')).not.toContain('/run/dock-mounts/');
    await camera.unplug();
    await using left = await mountImage(image, options);
    const names = await run('find', left.path, '-type', 'f', '-printf', '%P\n');
    expect(names.split('\n').sort()).toEqual(['DCIM/100/B.MP4', 'DCIM/EMPTY.MP4', 'log.txt']);
  });

  test(`${name}: dirty is told, pulled, and never written to`, async () => {
    await using folder = await scratchFolder();
    const image = join(folder.path, 'card.img');
    await makeDiskImage(image, { ...options, fill, isDirty: true });
    const before = await hashOf(image);
    await using camera = await dockedDisk(image);
    await using agent = await Agent.start(camera.portPath);
    expect(await agent.ask('open')).toMatchObject([{ isDirty: true }]);
    await agent.ask('list');
    expect(await agent.ask('health')).toMatchObject({ errorCounters: { 'dirty-volume': 1 } });
    expect(await agent.ask('read', '/DCIM/100/A.MP4')).toBe(sha256(video));
    expect(await agent.ask('capabilities')).not.toContain('remove');
    // The helper does not take the agent's word for it either.
    const sequence = (await readUsbDevice(camera.portPath))?.interfaces[0]?.blockDevices[0]?.diskSequence;
    expect(await helperSays(`writable ${camera.portPath} ${sequence}`)).toMatch(/^refused dirty /);
    await agent.ask('close');
    await camera.unplug();
    expect(await hashOf(image)).toBe(before);
  });

  test(`${name}: pulled out while mounted is a closed link, never a removed file`, async () => {
    await using folder = await scratchFolder();
    const image = join(folder.path, 'card.img');
    await makeDiskImage(image, { ...options, fill });
    await using camera = await dockedDisk(image);
    await using agent = await Agent.start(camera.portPath);
    await agent.ask('open');
    await agent.ask('list');
    await camera.unplug();
    expect(await agent.ask('remove', '/DCIM/100/A.MP4', sha256(video))).toBe('link.closed');
    expect(await agent.ask('read', '/DCIM/100/A.MP4')).toBe('link.closed');
    expect(await agent.ask('list')).toBe('link.closed');
    expect(await agent.ask('identity')).toBe('link.closed');
    await agent.ask('close');
    expect(await run('findmnt', '-rn', '-o', 'TARGET')).not.toContain('/run/dock-mounts/');
    await camera.plug();
    // The same card comes back under another sequence number, and everything is on it.
    await agent.ask('open');
    expect(pathsOf(await agent.ask<Listed>('list'))).toEqual(paths);
    await agent.ask('close');
  });
}

test('an agent killed in a window leaves a volume that is read-only and clean', async () => {
  await using folder = await scratchFolder();
  const image = join(folder.path, 'card.img');
  await makeDiskImage(image, { format: 'fat32', fill });
  await using camera = await dockedDisk(image);
  {
    await using agent = await Agent.start(camera.portPath);
    await agent.ask('open');
    expect(await agent.ask('die-in-window')).toMatchObject({ isDirty: false });
  }
  const target = `/run/dock-mounts/${camera.portPath}.0`;
  await until('read-only', async () =>
    (await run('findmnt', '-rn', '-M', target, '-o', 'OPTIONS').catch(() => '')).startsWith('ro,'),
  );
  await using next = await Agent.start(camera.portPath);
  expect(await next.ask('open')).toMatchObject([{ isDirty: false }]);
  await next.ask('close');
});

test('a card without a file system, and a slot without a card, are refused by name', async () => {
  await using folder = await scratchFolder();
  const image = join(folder.path, 'card.img');
  await writeFile(image, Buffer.alloc(8 * mebibyte));
  {
    await using camera = await dockedDisk(image);
    await using agent = await Agent.start(camera.portPath);
    expect(await agent.ask('open')).toBe('mount.refused');
  }
  await run('mkfs.ext4', '-q', image);
  {
    await using camera = await dockedDisk(image);
    await using agent = await Agent.start(camera.portPath);
    expect(await agent.ask('open')).toBe('mount.refused');
  }
  // Tools on a small first partition, recordings on the second: nobody may take the first one for all.
  const boot = Buffer.alloc(64 * mebibyte);
  boot.writeUInt16LE(0xaa55, 510);
  const partitions = [
    { start: 2048, sectors: 16_384 },
    { start: 32_768, sectors: 65_536 },
  ];
  for (const [index, { start, sectors }] of partitions.entries()) {
    const entry = 446 + 16 * index;
    boot.writeUInt8(0x0c, entry + 4);
    boot.writeUInt32LE(start, entry + 8);
    boot.writeUInt32LE(sectors, entry + 12);
  }
  await writeFile(image, boot);
  for (const { start, sectors } of partitions) {
    await run('mkfs.vfat', `--offset=${start}`, image, `${sectors / 2}`);
  }
  {
    await using camera = await dockedDisk(image);
    await using agent = await Agent.start(camera.portPath);
    expect(await agent.ask('open')).toBe('mount.refused');
  }
  await using empty = await massStorageGadget({ udc: 4, serialNumber: 'BC-1', units: [{}] });
  await empty.plug();
  await using agent = await Agent.start(empty.portPath);
  expect(await agent.ask('open')).toBe('mount.no-medium');
});

test('a port is switched off and on where the hub can, and what is on no list is refused', async () => {
  await using folder = await scratchFolder();
  const image = join(folder.path, 'card.img');
  await makeDiskImage(image, { format: 'fat32', fill });
  await using camera = await dockedDisk(image);
  const before = await readUsbDevice(camera.portPath);
  await using agent = await Agent.start(camera.portPath);
  await agent.ask('open');
  expect(await agent.ask('power-cycle')).toBeNull();
  const after = await until('the camera again', () => readUsbDevice(camera.portPath));
  expect(after.address).not.toBe(before?.address);
  expect(await agent.ask('identity')).toBe('link.closed');
  expect([await agent.ask('usbfs-memory', '128'), await agent.ask('usbfs-memory', '64')]).toEqual([128, 128]);
  expect(await helperSays('power-cycle 1-1')).toMatch(/^refused not-a-bay /);
  expect(await helperSays('mount 1-1 1')).toMatch(/^refused not-a-bay /);
});

test('the udev rules allow a camera whole, and a keyboard, alone or in a camera, not at all', async () => {
  await using _rules = await installUdevRules(bays);
  await using folder = await scratchFolder();
  const image = join(folder.path, 'card.img');
  await makeDiskImage(image, { format: 'fat32', fill });
  const [bus] = bays.map((bay) => bay.replace(/-.*/, ''));
  expect(await attributeOf(join(usbDevices, `usb${bus}`), 'interface_authorized_default')).toBe('0');
  {
    await using camera = await dockedDisk(image);
    await using agent = await Agent.start(camera.portPath);
    expect(await agent.ask('open')).toMatchObject([{ fileSystem: 'vfat' }]);
    await agent.ask('close');
    const device = await readUsbDevice(camera.portPath);
    const node = [device?.busNumber, device?.address]
      .map((number) => String(number).padStart(3, '0'))
      .join('/');
    expect(await run('stat', '-c', '%a %G', join('/dev/bus/usb', node))).toBe('660 nogroup');
    const disk = device?.interfaces[0]?.blockDevices[0]?.name ?? 'none';
    expect(await run('stat', '-c', '%a %G', join('/dev', disk))).toBe('600 root');
  }
  {
    await using serial = await acmGadget({ udc: 4, serialNumber: 'BC-2' });
    await serial.plug();
    await until('a serial line', async () => (await readUsbDevice(serial.portPath))?.interfaces[0]?.ttys[0]);
  }
  {
    await using stranger = await keyboardGadget({ udc: 4, serialNumber: 'BC-3', units: [{ image }] });
    await stranger.plug();
    await run('udevadm', 'settle');
    const device = await readUsbDevice(stranger.portPath);
    expect(device?.interfaces.map(({ isAuthorized, driver }) => [isAuthorized, driver])).toEqual([
      [false, undefined],
      [false, undefined],
    ]);
    await using agent = await Agent.start(stranger.portPath);
    expect(await agent.ask('open')).toBe('mount.no-medium');
  }
  {
    // Says that it is no keyboard, and is one.
    const descriptor =
      '05010906a101050719e029e7150025017501950881029501750881019506750815002565050719002965' + '8100c0';
    await using hidden = await hidGadget({
      udc: 4,
      serialNumber: 'BC-4',
      reportDescriptor: Buffer.from(descriptor, 'hex'),
      reportLength: 8,
    });
    await hidden.plug();
    await until('no driver', async () => {
      const one = (await readUsbDevice(hidden.portPath))?.interfaces[0];
      return one?.isAuthorized === false && one.driver === undefined;
    });
  }
  {
    await using elsewhere = await keyboardGadget({ udc: 7 });
    await elsewhere.plug();
    await until(
      'its driver',
      async () => (await readUsbDevice(elsewhere.portPath))?.interfaces[0]?.driver === 'usbhid',
    );
  }
});

/** The answer to a line that no client of ours would send. */
async function helperSays(request: string): Promise<string> {
  const socket = createConnection(helper.helperSocket);
  socket.setEncoding('utf8').end(`${request}\n`);
  return (await Array.fromAsync(socket as AsyncIterable<string>)).join('');
}
