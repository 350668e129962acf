// A camera that shows itself as a disk keeps the contract of every camera. Only the mount is a double here: files are
// real. What the kernel does with a disk that is pulled is in test/usb/mass-storage.lab.test.ts.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { appendFile, chmod, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Camera, ListedRecording } from '../../dock/camera/camera.ts';
import { openMassStorageCamera, type MassStorageOptions } from '../../dock/camera/mass-storage-camera.ts';
import { nodeStorageFiles, type StorageFiles } from '../../dock/camera/storage-files.ts';
import type { StorageMount } from '../../dock/camera/storage-mount.ts';
import { attestVerifiedCopy } from '../../dock/camera/verified-copy.ts';
import type { BayDisk, MountedVolume } from '../../dock/host/privileged-helper.ts';
import { mountStorage, type MountHelper } from '../../dock/host/storage-mount.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { MemoryStore, type HeldRecording } from '../../dock/simulator/recording-store.ts';
import { DockError } from '../../protocol/errors.ts';
import { cameraConformance, type ConformanceBench } from '../support/camera-conformance.ts';
import { bytesOf } from '../support/recordings.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const { signal } = new AbortController();
const zoneMinutes = 300;
const modifiedMs = Date.UTC(2026, 10, 22, 14, 30);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const systemError = (code: string): Error => Object.assign(new Error(code), { code });

/** A mounted volume made of a folder, with faults on demand. */
class FolderMount implements StorageMount {
  readonly name = '1-1.2 sda1';
  readonly fileSystem = 'vfat';
  readonly folder: string;
  readonly logicalUnit: number;
  readonly closed: Promise<void>;
  isDirty = false;
  isPlugged = true;
  /** Commands that the device has failed; undefined where nobody counts. */
  errors: number | undefined;
  /** What opening a window fails with. */
  refusal: Error | undefined;
  windows: ('open' | 'closed')[] = [];
  /** Called inside a window, before and after the work. */
  onWindow: (moment: 'before' | 'after') => Promise<void> | void = () => undefined;
  /** While set, nothing of the device answers. */
  silence: Promise<void> | undefined;
  #close: () => void = () => undefined;

  constructor(folder: string, logicalUnit = 0) {
    this.folder = folder;
    this.logicalUnit = logicalUnit;
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  /** From now on everything is missing, as after an unplug; the folder itself goes on to exist. */
  async unplug(): Promise<void> {
    this.isPlugged = false;
    for (const name of await readdir(this.folder)) await rm(join(this.folder, name), { recursive: true });
  }

  async isPresent(): Promise<boolean> {
    await this.silence;
    return this.isPlugged;
  }

  async writable<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
    await this.silence;
    if (this.refusal) throw this.refusal;
    this.windows.push('open');
    try {
      await this.onWindow('before');
      const result = await work(this.folder);
      await this.onWindow('after');
      return result;
    } finally {
      this.windows.push('closed');
    }
  }

  async errorCount(): Promise<number | undefined> {
    return this.errors;
  }

  async capacity(): Promise<{ totalBytes: number; freeBytes: number }> {
    await this.silence;
    return { totalBytes: 1000, freeBytes: 400 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isPlugged = false;
    this.#close();
  }
}

interface Bench extends AsyncDisposable {
  readonly camera: Camera;
  readonly mount: FolderMount;
  readonly folder: string;
}

async function docked(
  files: Readonly<Record<string, string | Uint8Array>>,
  options: Partial<MassStorageOptions> = {},
  spoil: (mount: FolderMount) => void = () => undefined,
): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'card-'));
  for (const [name, content] of Object.entries(files)) await put(folder, name, content);
  const mount = new FolderMount(folder);
  spoil(mount);
  const camera = await openMassStorageCamera(
    [mount],
    { serialNumber: ' bc-77', model: 'Camera' },
    systemClock,
    { isRecording: (path) => path.endsWith('.MP4'), zoneMinutes, mayRemove: true, ...options },
    signal,
  );
  return {
    camera,
    mount,
    folder,
    async [Symbol.asyncDispose]() {
      await camera[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function put(folder: string, name: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), content);
  await utimes(join(folder, name), modifiedMs / 1000, modifiedMs / 1000);
}

const list = (camera: Camera): Promise<ListedRecording[]> => Array.fromAsync(camera.recordings(signal));
const pathsOf = (listed: readonly ListedRecording[]): string[] => listed.map(({ path }) => path);

async function read(camera: Camera, recording: ListedRecording): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(camera.read(recording, 0, signal)));
}

function proofOf(recording: ListedRecording, content: string): ReturnType<typeof attestVerifiedCopy> {
  const digest = sha256(Buffer.from(content));
  return attestVerifiedCopy({ recordingId: 'R1', sizeBytes: Number(recording.sizeBytes), sha256: digest });
}

async function first(camera: Camera): Promise<ListedRecording> {
  const [recording] = await list(camera);
  if (!recording) throw new Error('no recording');
  return recording;
}

/** A store whose files are in a folder; what is removed from one is removed from the other. */
class MirroredStore extends MemoryStore {
  readonly folder: string;

  constructor(folder: string) {
    super();
    this.folder = folder;
  }

  override remove(recording: HeldRecording): void {
    super.remove(recording);
    rmSync(join(this.folder, recording.path));
  }

  override list(): readonly HeldRecording[] {
    return super.list().filter(({ path }) => existsSync(join(this.folder, path)));
  }
}

const recordings = () => {
  const folder = mkdtempSync(join(tmpdir(), 'card-'));
  const store = new MirroredStore(folder);
  const digests = new Map<string, string>();
  mkdirSync(join(folder, 'DCIM'));
  for (const [name, sizeBytes] of Object.entries({
    'A.MP4': 2_500_000,
    'B.MP4': 1,
    'C.MP4': 4097,
    'D.MP4': 0,
  })) {
    const path = `/DCIM/${name}`;
    const bytes = bytesOf(name, sizeBytes);
    writeFileSync(join(folder, path), bytes, { mode: name === 'B.MP4' ? 0o400 : 0o600 });
    digests.set(path, sha256(bytes));
    store.add({ id: path, path, kind: 'video', isProtected: name === 'B.MP4', knowsDigest: false }, bytes);
  }
  return { store, sha256: (path: string) => digests.get(path) ?? 'none' };
};

cameraConformance('Mass storage', {
  capabilities: ['remove'],
  swapCloses: true,
  recordings,
  open: async ({ held, without = [] }): Promise<ConformanceBench> => {
    const { folder } = held.store as MirroredStore;
    const mount = new FolderMount(folder);
    let hang = Promise.withResolvers<void>();
    let silentFiles: Promise<void> | undefined;
    let loseOneIn = 0;
    let calls = 0;
    const spoilt = async <Result>(work: () => Promise<Result>): Promise<Result> => {
      await silentFiles;
      if (loseOneIn > 0 && ++calls % loseOneIn === 0) throw systemError('EIO');
      return work();
    };
    const files: StorageFiles = {
      names: (...args) => spoilt(() => nodeStorageFiles.names(...args)),
      facts: (...args) => spoilt(() => nodeStorageFiles.facts(...args)),
      unlink: (...args) => spoilt(() => nodeStorageFiles.unlink(...args)),
      open: (...args) =>
        spoilt(async () => {
          const file = await nodeStorageFiles.open(...args);
          return {
            facts: () => spoilt(() => file.facts()),
            read: (...what) => spoilt(() => file.read(...what)),
            close: () => file.close(),
          };
        }),
    };
    const speakAgain = (): void => {
      mount.silence = undefined;
      silentFiles = undefined;
      hang.resolve();
    };
    const camera = await openMassStorageCamera(
      [mount],
      { serialNumber: 'BC-77', model: 'Camera' },
      systemClock,
      {
        isRecording: () => true,
        zoneMinutes,
        mayRemove: !without.includes('remove'),
        files,
        answerTimeoutMs: 500,
      },
      signal,
    );
    return {
      camera,
      serialNumber: 'BC-77',
      loseOneIn: (count) => {
        loseOneIn = count;
      },
      fallSilent: (what) => {
        hang = Promise.withResolvers();
        silentFiles = hang.promise;
        if (what === 'everything') mount.silence = hang.promise;
      },
      speakAgain,
      becomeAnother: () => {
        mount.isPlugged = false;
      },
      refuseRemoval: () => {
        mount.refusal = new DockError('mount.refused', 'write-protected');
      },
      forgetClock: () => undefined,
      unplug: () => mount.unplug(),
      async [Symbol.asyncDispose]() {
        speakAgain();
        await camera[Symbol.asyncDispose]();
        await rm(folder, { recursive: true, force: true });
      },
    };
  },
});

describe('A mass-storage camera', () => {
  test('lists what is a recording, with the end of FAT time in its zone, and names byte by byte', async () => {
    const odd = Buffer.concat([Buffer.from('DCIM/'), Buffer.of(0xff, 0x80), Buffer.from('.MP4')]);
    await using bench = await docked({
      'DCIM/Бейне жазба.MP4': 'a',
      'DCIM/with\nline.MP4': 'b',
      'DCIM/back\\slash.MP4': 'c',
      'DCIM/.hidden.MP4': 'd',
      'DCIM/log.txt': 'no recording',
    });
    await writeFile(Buffer.concat([Buffer.from(`${bench.folder}/`), odd]), 'odd bytes');
    const listed = await list(bench.camera);
    expect(pathsOf(listed)).toEqual([
      '/DCIM/.hidden.MP4',
      '/DCIM/back\\x5cslash.MP4',
      '/DCIM/with\nline.MP4',
      '/DCIM/Бейне жазба.MP4',
      '/DCIM/\\xff\\x80.MP4',
    ]);
    expect(listed[0]).toEqual({
      id: '/DCIM/.hidden.MP4',
      statedTimes: { modified: '2026-11-22T14:30:00.000', zoneMinutes: 300 },
      path: '/DCIM/.hidden.MP4',
      sizeBytes: 1,
      kind: 'video',
      isProtected: false,
      endedAt: modifiedMs - 5 * 3_600_000,
    });
    const contents = await Promise.all(
      [1, 4].map((index) => read(bench.camera, listed[index] as ListedRecording)),
    );
    expect(contents.map(String)).toEqual(['c', 'odd bytes']);
  });

  test('never follows a link, neither of a file nor of a folder', async () => {
    await using bench = await docked({ 'DCIM/A.MP4': 'a' });
    const outside = await mkdtemp(join(tmpdir(), 'outside-'));
    await put(outside, 'SECRET.MP4', 'secret');
    await symlink(join(outside, 'SECRET.MP4'), join(bench.folder, 'DCIM/LINK.MP4'));
    await symlink(outside, join(bench.folder, 'FOLDER'));
    const listed = await list(bench.camera);
    expect(pathsOf(listed)).toEqual(['/DCIM/A.MP4']);
    const forged = { ...(listed[0] as ListedRecording), path: '/DCIM/LINK.MP4' };
    await expect(read(bench.camera, forged)).rejects.toMatchObject({ code: 'recording.vanished' });
    await rm(outside, { recursive: true });
  });

  test.for([
    '/../A.MP4',
    '/DCIM/../../A.MP4',
    '/DCIM//A.MP4',
    '/./A.MP4',
    'A.MP4',
    '/\\x2e\\x2e/A.MP4',
    '/A\0.MP4',
    '/1:/A.MP4',
    '',
  ])('has nothing at %j, which no list of it names, and does not take it for removed', async (path) => {
    await using bench = await docked({ 'DCIM/A.MP4': 'a' });
    const forged = { ...(await first(bench.camera)), path };
    await expect(read(bench.camera, forged)).rejects.toMatchObject({ code: 'recording.unreadable-entry' });
    await expect(bench.camera.remove?.(forged, proofOf(forged, 'a'), signal)).rejects.toMatchObject({
      code: 'recording.unreadable-entry',
    });
  });

  test('names what it cannot look into, and lists the rest', async () => {
    const deep = `${'d/'.repeat(20)}A.MP4`;
    const files: StorageFiles = {
      ...nodeStorageFiles,
      facts: (path) =>
        String(path).endsWith('BAD.MP4') ? Promise.reject(systemError('EIO')) : nodeStorageFiles.facts(path),
    };
    await using bench = await docked({ [deep]: 'a', 'DCIM/BAD.MP4': 'b', 'DCIM/C.MP4': 'c' }, { files });
    const listed = await list(bench.camera);
    expect(listed.map(({ path, defect }) => [path.slice(0, 15), defect?.replace(/.*: /, '')])).toEqual([
      ['/DCIM/BAD.MP4', 'EIO on 1-1.2 sda1'],
      ['/DCIM/C.MP4', undefined],
      ['/d/d/d/d/d/d/d/', 'folders too deep'],
    ]);
  });

  test('names a volume of which commands failed while it was listed: FAT passes over blocks it cannot read', async () => {
    let isFailing = false;
    const files: StorageFiles = {
      ...nodeStorageFiles,
      names: async (...args) => {
        if (isFailing) bench.mount.errors = (bench.mount.errors ?? 0) + 1;
        return nodeStorageFiles.names(...args);
      },
    };
    await using bench = await docked({ 'A.MP4': 'a' }, { files }, (mount) => {
      mount.errors = 3;
    });
    expect(await list(bench.camera)).toMatchObject([{ path: '/A.MP4' }]);
    isFailing = true;
    const listed = await list(bench.camera);
    expect(listed.map(({ path, defect }) => [path, defect])).toEqual([
      ['/A.MP4', undefined],
      ['/', '1-1.2 sda1 failed to read while it was listed'],
    ]);
    isFailing = false;
    expect(await list(bench.camera)).toMatchObject([{ path: '/A.MP4' }]);
  });

  test('ends a list of folders that hold themselves', async () => {
    const names = Array.from({ length: 100 }, (_, index) => Buffer.from(`F${index}`));
    const files: StorageFiles = {
      ...nodeStorageFiles,
      names: async () => names,
      facts: async () => ({ kind: 'folder', sizeBytes: 0n, modifiedMs: 0, isWritable: true }),
    };
    await using bench = await docked({}, { files });
    let last: ListedRecording | undefined;
    let count = 0;
    for await (last of bench.camera.recordings(signal)) count++;
    expect(count).toBeLessThan(400_000);
    expect(last?.defect).toBe('folders without end');
  });

  test('takes a list cut short by an unplug for no list at all', async () => {
    await using bench = await docked({ 'A/A.MP4': 'a', 'B/B.MP4': 'b' });
    const listing = bench.camera.recordings(signal)[Symbol.asyncIterator]();
    expect(await listing.next()).toMatchObject({ value: { path: '/A/A.MP4' } });
    await bench.mount.unplug();
    await expect(listing.next()).rejects.toMatchObject({ code: 'link.closed' });
  });

  test('keeps the files of two disks apart', async () => {
    const folders = await Promise.all([0, 1].map(() => mkdtemp(join(tmpdir(), 'card-'))));
    for (const [index, folder] of folders.entries()) await put(folder, 'A.MP4', `disk ${index}`);
    const mounts = folders.map((folder, index) => new FolderMount(folder, index));
    await using camera = await openMassStorageCamera(
      mounts,
      { serialNumber: 'BC-1', model: '' },
      systemClock,
      { isRecording: (path) => path === '/A.MP4', zoneMinutes, mayRemove: true },
      signal,
    );
    const listed = await list(camera);
    expect(pathsOf(listed)).toEqual(['/A.MP4', '/1:/A.MP4']);
    expect(await Promise.all(listed.map(async (each) => String(await read(camera, each))))).toEqual([
      'disk 0',
      'disk 1',
    ]);
    const [, second] = listed as [ListedRecording, ListedRecording];
    await camera.remove?.(second, proofOf(second, 'disk 1'), signal);
    expect(pathsOf(await list(camera))).toEqual(['/A.MP4']);
    mounts[1]!.isPlugged = false;
    await expect(camera.readIdentity(signal)).rejects.toMatchObject({ code: 'link.closed' });
    for (const folder of folders) await rm(folder, { recursive: true });
  });

  test('does not read a file that has grown, or grows meanwhile', async () => {
    await using bench = await docked({ 'A.MP4': new Uint8Array(3_000_000) });
    const recording = await first(bench.camera);
    const chunks = bench.camera.read(recording, 0, signal)[Symbol.asyncIterator]();
    await chunks.next();
    await appendFile(join(bench.folder, 'A.MP4'), 'more');
    const rest = async (): Promise<void> => {
      while (!(await chunks.next()).done);
    };
    await expect(rest()).rejects.toMatchObject({ code: 'recording.size-mismatch' });
    await expect(read(bench.camera, recording)).rejects.toMatchObject({ code: 'recording.size-mismatch' });
  });

  test('has no removal where the profile says never', async () => {
    await using bench = await docked({ 'A.MP4': 'a' }, { mayRemove: false });
    expect(bench.camera.remove).toBeUndefined();
  });

  test('that has no serial number is refused, and its mounts are given back', async () => {
    const mount = new FolderMount(tmpdir());
    const options = { isRecording: () => true, zoneMinutes, mayRemove: true };
    await expect(
      openMassStorageCamera([mount], { serialNumber: '', model: '' }, systemClock, options, signal),
    ).rejects.toMatchObject({ code: 'camera.identity-invalid' });
    expect(mount.isPlugged).toBe(false);
  });
});

describe('Removing from a mass-storage camera', () => {
  test('after an unplug is link.closed and never success, though every look-up says ENOENT', async () => {
    for (const moment of ['before the removal', 'before', 'after', 'after the window'] as const) {
      await using bench = await docked({ 'A.MP4': 'a' });
      const recording = await first(bench.camera);
      if (moment === 'before the removal') await bench.mount.unplug();
      if (moment === 'after the window') {
        let looks = 0;
        const { mount } = bench;
        const isPresent = mount.isPresent.bind(mount);
        // Gone between the look at the file and the second look at the device.
        mount.isPresent = async () => {
          if (mount.windows.length === 2 && looks++ === 1) await mount.unplug();
          return isPresent();
        };
      }
      bench.mount.onWindow = async (now) => {
        if (now === moment) await bench.mount.unplug();
      };
      await expect(
        bench.camera.remove?.(recording, proofOf(recording, 'a'), signal),
        moment,
      ).rejects.toMatchObject({
        code: 'link.closed',
      });
    }
  });

  test('reads a file again that it did not deliver itself, and refuses other bytes under the same name', async () => {
    await using bench = await docked({ 'A.MP4': 'a' });
    const recording = await first(bench.camera);
    await put(bench.folder, 'A.MP4', 'b');
    await expect(bench.camera.remove?.(recording, proofOf(recording, 'a'), signal)).rejects.toMatchObject({
      code: 'removal.refused',
    });
    expect(bench.mount.windows).toEqual([]);
    await bench.camera.remove?.(recording, proofOf(recording, 'b'), signal);
    expect(await list(bench.camera)).toEqual([]);
  });

  test('looks at size and time again inside the window, and closes it when they differ', async () => {
    for (const change of ['size', 'time'] as const) {
      await using bench = await docked({ 'A.MP4': 'a', 'B.MP4': 'b' });
      const recording = await first(bench.camera);
      await read(bench.camera, recording);
      bench.mount.onWindow = async (moment) => {
        if (moment === 'after') return;
        if (change === 'size') await put(bench.folder, 'A.MP4', 'longer');
        else await utimes(join(bench.folder, 'A.MP4'), 1, 1);
      };
      await expect(bench.camera.remove?.(recording, proofOf(recording, 'a'), signal)).rejects.toMatchObject({
        code: 'removal.refused',
      });
      expect(bench.mount.windows).toEqual(['open', 'closed']);
      expect(pathsOf(await list(bench.camera))).toEqual(['/A.MP4', '/B.MP4']);
    }
  });

  test('closes its window when the disk fails in it, and may be tried again', async () => {
    let isFailing = true;
    const files: StorageFiles = {
      ...nodeStorageFiles,
      unlink: (path) => (isFailing ? Promise.reject(systemError('EROFS')) : nodeStorageFiles.unlink(path)),
    };
    await using bench = await docked({ 'A.MP4': 'a' }, { files });
    const recording = await first(bench.camera);
    await expect(bench.camera.remove?.(recording, proofOf(recording, 'a'), signal)).rejects.toMatchObject({
      code: 'removal.refused',
    });
    expect(bench.mount.windows).toEqual(['open', 'closed']);
    isFailing = false;
    await bench.camera.remove?.(recording, proofOf(recording, 'a'), signal);
    expect(await list(bench.camera)).toEqual([]);
  });

  test('takes nothing for absent when commands failed meanwhile', async () => {
    await using bench = await docked({ 'A.MP4': 'a', 'B.MP4': 'b' }, {}, (mount) => {
      mount.errors = 0;
    });
    const [a, b] = (await list(bench.camera)) as [ListedRecording, ListedRecording];
    bench.mount.onWindow = (moment) => {
      if (moment === 'after') bench.mount.errors = 1;
    };
    await expect(bench.camera.remove?.(a, proofOf(a, 'a'), signal)).rejects.toMatchObject({
      code: 'recording.stalled',
    });
    // The volume was mounted afresh since: that it is not there now is certain.
    await bench.camera.remove?.(a, proofOf(a, 'a'), signal);
    bench.mount.errors = 2;
    await rm(join(bench.folder, 'B.MP4'));
    await expect(bench.camera.remove?.(b, proofOf(b, 'b'), signal)).rejects.toMatchObject({
      code: 'recording.stalled',
    });
  });

  test('says so when the file is there again after the window', async () => {
    await using bench = await docked({ 'A.MP4': 'a' });
    const recording = await first(bench.camera);
    bench.mount.onWindow = async (moment) => {
      if (moment === 'after') await put(bench.folder, 'A.MP4', 'a');
    };
    await expect(bench.camera.remove?.(recording, proofOf(recording, 'a'), signal)).rejects.toMatchObject({
      code: 'removal.refused',
    });
  });

  test('is not offered for a dirty volume, which health reports and reading does not mind', async () => {
    await using bench = await docked({ 'A.MP4': 'a' }, {}, (mount) => {
      mount.isDirty = true;
    });
    const recording = await first(bench.camera);
    expect(await bench.camera.health?.(signal)).toEqual({
      storageTotalBytes: 1000,
      storageFreeBytes: 400,
      errorCounters: { 'dirty-volume': 1 },
    });
    expect(String(await read(bench.camera, recording))).toBe('a');
    expect(bench.camera.remove).toBeUndefined();
  });

  test('takes a write-protected file, which a list shows as protected', async () => {
    await using bench = await docked({ 'A.MP4': 'a' });
    await chmod(join(bench.folder, 'A.MP4'), 0o400);
    const recording = await first(bench.camera);
    expect(recording.isProtected).toBe(true);
    await bench.camera.remove?.(recording, proofOf(recording, 'a'), signal);
    expect(await list(bench.camera)).toEqual([]);
  });

  test('leaves at most one call in a disk that hangs, and says that the recording stalls', async () => {
    const hang = Promise.withResolvers<void>();
    let calls = 0;
    let isHanging = false;
    const files: StorageFiles = {
      ...nodeStorageFiles,
      open: async (path) => {
        calls++;
        if (isHanging) await hang.promise;
        return nodeStorageFiles.open(path);
      },
    };
    await using bench = await docked({ 'A.MP4': 'a' }, { files, answerTimeoutMs: 100 });
    const recording = await first(bench.camera);
    isHanging = true;
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(read(bench.camera, recording)).rejects.toMatchObject({ code: 'recording.stalled' });
    }
    expect(calls).toBe(1);
    isHanging = false;
    hang.resolve();
    expect(String(await read(bench.camera, recording))).toBe('a');
  });
});

describe('Mounting the disks of a device', () => {
  const device = { portPath: '1-1.2', address: 7 };

  /** A sysfs with a device of two units, sda and sdb, and a helper that mounts a folder of its own for each. */
  async function bench(sizes: readonly [string, string]) {
    const sysRoot = await mkdtemp(join(tmpdir(), 'sys-'));
    const usb = 'bus/usb/devices/1-1.2';
    const files: Record<string, string> = { idVendor: '1d6b', idProduct: '0104', devnum: '7' };
    const blockOf = (unit: number): string =>
      `${usb}/1-1.2:1.0/host0/target0:0:0/0:0:0:${unit}/block/${unit === 0 ? 'sda' : 'sdb'}`;
    for (const [name, text] of Object.entries(files)) await put(sysRoot, `${usb}/${name}`, text);
    for (const [unit, size] of sizes.entries()) {
      await put(sysRoot, `${blockOf(unit)}/diskseq`, `${unit + 1}`);
      await put(sysRoot, `${blockOf(unit)}/size`, size);
    }
    const asked: string[] = [];
    const helper: MountHelper = {
      mount: async ({ diskSequence }: BayDisk): Promise<MountedVolume> => {
        asked.push(`mount ${diskSequence}`);
        const logicalUnit = diskSequence - 1;
        return { folder: sysRoot, fileSystem: 'vfat', isDirty: false, device: 'sda1', logicalUnit };
      },
      writable: () => Promise.reject(new Error('no window')),
      unmount: async (_, logicalUnit) => {
        asked.push(`unmount ${logicalUnit}`);
      },
    };
    const setSize = (unit: number, size: string): Promise<void> =>
      put(sysRoot, `${blockOf(unit)}/size`, size);
    return { sysRoot, helper, asked, setSize, [Symbol.asyncDispose]: () => rm(sysRoot, { recursive: true }) };
  }

  test('waits for a second unit that has no size at first', async () => {
    await using place = await bench(['100', '0']);
    const clock = new VirtualClock();
    const sleep = clock.sleep.bind(clock);
    clock.sleep = async (...args) => {
      if (clock.monotonic() >= 2000) await place.setSize(1, '100');
      return sleep(...args);
    };
    const mounts = await mountStorage(device, place.helper, clock, place);
    expect(place.asked).toEqual(['mount 1', 'mount 2']);
    for (const mount of mounts) await mount[Symbol.asyncDispose]();
  });

  test('goes on without a slot that stays empty', async () => {
    await using place = await bench(['100', '0']);
    const clock = new VirtualClock();
    const mounts = await mountStorage(device, place.helper, clock, place);
    expect(place.asked).toEqual(['mount 1']);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(3000);
    for (const mount of mounts) await mount[Symbol.asyncDispose]();
  });

  test('stops waiting for disks, and for the helper, when it is told to', async () => {
    await using place = await bench(['0', '0']);
    const stop = new AbortController();
    const waiting = mountStorage(device, place.helper, systemClock, { ...place, signal: stop.signal });
    setTimeout(() => stop.abort(new Error('stop')), 50);
    await expect(waiting).rejects.toThrow('stop');
    await place.setSize(0, '100');
    await place.setSize(1, '100');
    const again = new AbortController();
    const slow: MountHelper = {
      ...place.helper,
      mount: (disk, given) =>
        disk.diskSequence === 1
          ? place.helper.mount(disk)
          : new Promise((_, reject) => {
              given?.addEventListener('abort', () => reject(given.reason as Error));
              again.abort(new Error('stop'));
            }),
    };
    await expect(mountStorage(device, slow, systemClock, { ...place, signal: again.signal })).rejects.toThrow(
      'stop',
    );
    expect(place.asked).toEqual(['mount 1', 'unmount 0']);
  });

  test('gives up unmounting with a helper that does not answer', async () => {
    await using place = await bench(['100', '100']);
    const clock = new VirtualClock();
    const silent: MountHelper = {
      ...place.helper,
      unmount: (_port, _unit, given) =>
        new Promise((_, reject) => {
          if (given?.aborted) reject(given.reason as Error);
          given?.addEventListener('abort', () => reject(given.reason as Error));
        }),
    };
    const mounts = await mountStorage(device, silent, clock, place);
    for (const mount of mounts) await mount[Symbol.asyncDispose]();
    expect(mounts).toHaveLength(2);
  });

  test('counts what a disk fails as the kernel does, and knows nothing where it does not count', async () => {
    await using place = await bench(['100', '100']);
    const [first, second] = await mountStorage(device, place.helper, new VirtualClock(), place);
    await put(place.sysRoot, 'class/block/sda/device/ioerr_cnt', '0x1f\n');
    await put(place.sysRoot, 'class/block/sdb/device/ioerr_cnt', '');
    expect(await first?.errorCount?.()).toBe(31);
    expect(await second?.errorCount?.()).toBeUndefined();
    await first?.[Symbol.asyncDispose]();
    await second?.[Symbol.asyncDispose]();
  });
});
