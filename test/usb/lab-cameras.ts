import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { defaultSerialLine, openSerialPort } from '../../dock/host/serial-port.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { openHidGadget } from '../../dock/simulator/hid-gadget.ts';
import { MemoryStore } from '../../dock/simulator/recording-store.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { serveCamera, serveCameraOverHid } from '../../dock/simulator/serve.ts';
import type { SimulatedCamera } from '../../dock/simulator/simulated-camera.ts';
import { smpReportDescriptor } from '../../protocol/hid/report-descriptor.ts';
import { makeDiskImage, mountImage } from './disk-image.ts';
import { acmGadget, hidGadget, massStorageGadget, mtpGadget } from './gadgets.ts';
import { scratchFolder } from './lab.ts';

/** Ids by which the lab's profiles tell its cameras apart. */
export const labIds = { mtp: 0x0a01, disk: 0x0a02, locked: 0x0a03, unlocked: 0x0a04, serial: 0x0a05 };

/** What a technician would write for these models: data, no code. */
export const labProfiles = [
  { name: 'lab-mtp', modes: [{ match: ids(labIds.mtp), recordings: 'mtp' }] },
  { name: 'lab-disk', modes: [{ match: ids(labIds.disk), recordings: 'mass-storage' }] },
  {
    name: 'lab-locked',
    modes: [
      { match: ids(labIds.locked), control: 'smp-hid', unlock: 'mass-storage' },
      { match: ids(labIds.unlocked), recordings: 'mass-storage' },
    ],
  },
];

function ids(productId: number): { vendor_id: string; product_id: string } {
  return { vendor_id: '1d6b', product_id: productId.toString(16).padStart(4, '0') };
}

/** A camera in the lab, by what a test does with it and knows of it. */
export interface LabCamera extends AsyncDisposable {
  readonly serialNumber: string;
  readonly portPath: string;
  /** `name sha256` of what it held when it was made, sorted. */
  readonly held: readonly string[];
  plug(): Promise<void>;
  unplug(): Promise<void>;
  /** Names of what it holds now; only while it is unplugged, where it is a disk. */
  remaining(): Promise<string[]>;
}

export interface LabCameraOptions {
  readonly udc: number;
  readonly serialNumber: string;
  /** Sizes by path. */
  readonly files: Readonly<Record<string, number>>;
}

/** An MTP camera served by umtprd; `camera.gadget.function` kills and freezes its firmware. */
export async function mtpCamera({ udc, serialNumber, files }: LabCameraOptions) {
  const folder = await scratchFolder();
  const held = await fill(folder.path, contentsOf(files));
  const gadget = await mtpGadget({
    udc,
    serialNumber,
    productId: labIds.mtp,
    storages: [{ path: folder.path }],
  });
  return {
    ...lifeOf(gadget, serialNumber, held),
    gadget,
    folder: folder.path,
    // Old umtprd dies of some unplugs, or is just setting itself up again; the firmware of a camera would boot.
    plug: async () => {
      const isPlugged = gadget.function.isRunning && (await plugged(gadget));
      if (isPlugged) return;
      await gadget.unplug();
      await gadget.function.killResponder();
      await gadget.function.restartResponder();
      await gadget.plug();
    },
    remaining: async () => (await filesBelow(folder.path)).map(([name]) => name),
    [Symbol.asyncDispose]: async () => {
      await gadget[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  } satisfies LabCamera & Record<string, unknown>;
}

/** A camera that shows its card as a disk. */
export async function diskCamera(
  options: LabCameraOptions & { readonly format: 'fat32' | 'exfat'; readonly isDirty?: boolean },
): Promise<LabCamera> {
  const { udc, serialNumber, files, format, isDirty = false } = options;
  const folder = await scratchFolder();
  const image = join(folder.path, 'card.img');
  const contents = contentsOf(files);
  await makeDiskImage(image, { format, isDirty, files: contents });
  const gadget = await massStorageGadget({ udc, serialNumber, productId: labIds.disk, units: [{ image }] });
  return {
    ...lifeOf(gadget, serialNumber, digestsOf(contents)),
    remaining: () => filesOnImage(image),
    [Symbol.asyncDispose]: async () => {
      await gadget[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A camera that talks over HID until it is told to become a disk: then it comes back under another id. */
export async function lockedCamera(options: LabCameraOptions) {
  const { udc, serialNumber, files } = options;
  const folder = await scratchFolder();
  const image = join(folder.path, 'card.img');
  const contents = contentsOf(files);
  await makeDiskImage(image, { format: 'fat32', files: contents });
  const reportDescriptor = smpReportDescriptor(64);
  const locked = await hidGadget({
    udc,
    serialNumber,
    productId: labIds.locked,
    reportDescriptor,
    reportLength: 64,
  });
  const disk = await massStorageGadget({
    udc,
    serialNumber,
    productId: labIds.unlocked,
    units: [{ image }],
  });
  const camera = offCamera(serialNumber, new MemoryStore(), {
    storageModes: ['mass-storage'],
    onModeSwitch: becomeDisk,
  });
  let pipe: AsyncDisposable | undefined;
  let shown: { unplug(): Promise<void> } = locked;
  /** Awaited when the camera is disposed of, so that a failure of the firmware fails the test. */
  let switching = Promise.resolve();
  function becomeDisk(): void {
    switching = systemClock.sleep(250).then(async () => {
      await pipe?.[Symbol.asyncDispose]();
      await locked.plugAs(disk);
      shown = disk;
    });
  }
  const life = lifeOf(locked, serialNumber, digestsOf(contents));
  return {
    ...life,
    camera,
    plug: async () => {
      await locked.plug();
      shown = locked;
      const opened = await openHidGadget(locked.function.node, systemClock);
      pipe = opened;
      void serveCameraOverHid(camera, opened, systemRandom);
    },
    unplug: async () => {
      await switching;
      await pipe?.[Symbol.asyncDispose]();
      await shown.unplug();
    },
    remaining: () => filesOnImage(image),
    [Symbol.asyncDispose]: async () => {
      await switching;
      await pipe?.[Symbol.asyncDispose]();
      await locked[Symbol.asyncDispose]();
      await disk[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  } satisfies LabCamera & Record<string, unknown>;
}

/** A camera of the camera group on a CDC-ACM line: everything over one channel. */
export async function serialCamera({ udc, serialNumber, files }: LabCameraOptions) {
  const store = new MemoryStore();
  const contents = contentsOf(files);
  for (const [index, [path, bytes]] of Object.entries(contents).entries()) {
    const times = { startedAt: Date.UTC(2026, 10, 20) + index * 60_000 };
    const entry = { id: `R${index}`, path: `/${path}`, kind: 'video', isProtected: false } as const;
    store.add({ ...entry, ...times, knowsDigest: true }, bytes);
  }
  const camera = offCamera(serialNumber, store, {});
  const gadget = await acmGadget({ udc, serialNumber, productId: labIds.serial });
  let isPlugged = false;
  let link: AsyncDisposable | undefined;
  let firmware = Promise.resolve();
  /** The hang-up of the last unplug may reach the line that was opened after it: firmware opens it again. */
  async function serve(): Promise<void> {
    while (isPlugged) {
      await using opened = await openSerialPort(gadget.function.node, defaultSerialLine);
      link = opened;
      if (isPlugged) await serveCamera(camera, opened, systemRandom);
    }
  }
  async function unplug(): Promise<void> {
    isPlugged = false;
    await gadget.unplug();
    await link?.[Symbol.asyncDispose]();
    await firmware;
  }
  return {
    ...lifeOf(gadget, serialNumber, digestsOf(contents)),
    camera,
    plug: async () => {
      await gadget.plug();
      isPlugged = true;
      firmware = serve();
    },
    unplug,
    remaining: async () => store.list().map(({ path }) => path.split('/').at(-1) ?? path),
    [Symbol.asyncDispose]: async () => {
      await unplug();
      await gadget[Symbol.asyncDispose]();
    },
  } satisfies LabCamera & Record<string, unknown>;
}

function plugged(gadget: { plug(options: { timeoutMs: number }): Promise<void> }): Promise<boolean> {
  return gadget.plug({ timeoutMs: 4000 }).then(
    () => true,
    () => false,
  );
}

/** A camera of the camera group whose clock is 4.2 s ahead. */
function offCamera(
  serialNumber: string,
  store: MemoryStore,
  more: Partial<Parameters<typeof sampleCamera>[0]>,
): SimulatedCamera {
  return sampleCamera(
    { serialNumber, store, clockOffsetMs: 4200, clockDriftPpm: 0, clockResolutionMs: 1, ...more },
    systemClock,
  );
}

function lifeOf(
  gadget: { readonly portPath: string; plug(): Promise<void>; unplug(): Promise<void> },
  serialNumber: string,
  held: readonly string[],
) {
  return {
    serialNumber,
    held,
    portPath: gadget.portPath,
    plug: () => gadget.plug(),
    unplug: () => gadget.unplug(),
  };
}

function contentsOf(files: Readonly<Record<string, number>>): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, randomBytes(bytes)]));
}

function digestsOf(contents: Readonly<Record<string, Buffer>>): string[] {
  return Object.entries(contents)
    .map(([path, bytes]) => `${path.split('/').at(-1)} ${createHash('sha256').update(bytes).digest('hex')}`)
    .toSorted();
}

async function fill(folder: string, contents: Readonly<Record<string, Buffer>>): Promise<string[]> {
  for (const [path, bytes] of Object.entries(contents)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  return digestsOf(contents);
}

async function filesBelow(folder: string): Promise<[name: string, path: string][]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry): [string, string] => [entry.name, join(entry.parentPath, entry.name)])
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}

async function filesOnImage(image: string): Promise<string[]> {
  await using mounted = await mountImage(image);
  return (await filesBelow(mounted.path)).map(([name]) => name);
}
