// What the other lab tests take for granted of the cameras they are given.
import { readdir, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readUsbDevice } from '../../dock/host/usb-tree.ts';
import { makeDiskImage, mountImage } from './disk-image.ts';
import { hidGadget, keyboardGadget, massStorageGadget, mtpGadget } from './gadgets.ts';
import { labDisk, run, scratchFolder, until } from './lab.ts';

test.for(['fat32', 'exfat'] as const)(
  'A dirty %s card shows its files and lets itself be pulled',
  async (format) => {
    await using folder = await scratchFolder();
    const image = join(folder.path, 'card.img');
    await makeDiskImage(image, { format, files: { 'DCIM/100/A.MP4': 'recorded' }, isDirty: true });
    await using camera = await massStorageGadget({ udc: 0, units: [{ image, isReadOnly: true }] });
    await camera.plug();
    const disk = await until('the disk', async () => {
      const device = await readUsbDevice(camera.portPath);
      return device?.interfaces[0]?.blockDevices.find(({ sizeBytes }) => sizeBytes > 0)?.name;
    });
    await run('mount', '-o', 'ro', `/dev/${disk}`, '/media');
    try {
      expect(await run('cat', '/media/DCIM/100/A.MP4')).toBe('recorded');
      await expect(camera.function.eject()).rejects.toThrow('EBUSY');
    } finally {
      await run('umount', '/media');
    }
    await camera.unplug();
    // Told by others than us: fsck.exfat 1.2.0 calls such a card clean, and the kernel warns of FAT only when it may write.
    const witness = format === 'fat32' ? 'fsck.fat -n "$0" || true' : 'dmesg | grep exFAT';
    expect(await run('bash', '-c', witness, image)).toMatch(/dirty|not properly unmounted/i);
  },
);

test('A frozen responder stays on the bus, and a thawed one goes on', async () => {
  await using storage = await scratchFolder();
  await writeFile(join(storage.path, 'VIDEO001.MP4'), 'recorded');
  await using camera = await mtpGadget({ udc: 0, model: 'Frozen', storages: [{ path: storage.path }] });
  await camera.plug();
  camera.function.freezeResponder();
  expect(await camera.isOnBus()).toBe(true);
  camera.function.thawResponder();
  expect(await run('mtp-detect')).toContain('Frozen');
});

test('The scratch disk holds a file beyond 4 GiB without holding its bytes', async () => {
  await using folder = await scratchFolder(labDisk);
  const path = join(folder.path, 'long.mp4');
  await writeFile(path, '');
  await truncate(path, 5 * 1024 ** 3);
  expect((await stat(path)).blocks).toBe(0);
});

test('A keyboard types', async () => {
  await using camera = await keyboardGadget({ udc: 0 });
  await camera.plug();
  await until('the driver', async () => (await readUsbDevice(camera.portPath))?.interfaces[0]?.hidraws[0]);
  await camera.keyboard.press(0x04);
});

test('What a gadget made is gone with its scope, whatever state it was in', async () => {
  {
    await using folder = await scratchFolder();
    const image = join(folder.path, 'card.img');
    await makeDiskImage(image, { format: 'fat32' });
    await using dead = await mtpGadget({ udc: 0, storages: [{ path: folder.path }] });
    await dead.plug();
    await dead.function.killResponder();
    await using _unplugged = await massStorageGadget({ udc: 1, units: [{ image }, {}] });
    await using alive = await mtpGadget({ udc: 2, storages: [{ path: folder.path }] });
    await alive.plug();
    alive.function.freezeResponder();
    const unusable = hidGadget({ udc: 3, reportDescriptor: new Uint8Array(1), reportLength: 100_000_000 });
    await expect(unusable).rejects.toThrow();
    await using _card = await mountImage(image);
  }
  expect(await readdir('/sys/kernel/config/usb_gadget')).toEqual([]);
  expect(await run('losetup', '-l')).toBe('');
  expect(await run('findmnt', '-n', '-l', '-o', 'FSTYPE')).not.toContain('functionfs');
  expect((await readdir('/run')).filter((name) => /^(umtprd|image)-/.test(name))).toEqual([]);
});
