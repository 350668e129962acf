// A disk's name says nothing about which card it is; what does is shown here on the kernel's own disks.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readUsbDevice, type UsbDevice } from '../../dock/host/usb-tree.ts';
import { makeDiskImage } from './disk-image.ts';
import { massStorageGadget } from './gadgets.ts';
import { deviceThat, disksOf } from './lab-tree.ts';
import { scratchFolder, until } from './lab.ts';

const mebibyte = 1024 * 1024;

test('Two cards are two disks of one interface, one of them write-protected', async () => {
  await using folder = await scratchFolder();
  const [memory, card] = [join(folder.path, 'memory.img'), join(folder.path, 'card.img')];
  await makeDiskImage(memory, { format: 'fat32', isPartitioned: true, files: { 'DCIM/A.MP4': 'a' } });
  await makeDiskImage(card, { format: 'exfat', sizeBytes: 32 * mebibyte });
  await using camera = await massStorageGadget({
    udc: 1,
    units: [{ image: memory }, { image: card, isReadOnly: true }],
  });
  await camera.plug();
  // Write protection too is awaited: the kernel clears it for a moment whenever it reads a disk again.
  const device = await deviceThat('both disks', camera.portPath, (found) => {
    const [memoryDisk, cardDisk] = disksOf(found);
    return memoryDisk?.partitions.length === 1 && cardDisk?.isReadOnly === true && cardDisk.sizeBytes > 0;
  });
  expect(device.interfaces).toMatchObject([{ classTriple: '08/06/50', driver: 'usb-storage' }]);
  const [first, second] = disksOf(device);
  expect(first).toMatchObject({
    sizeBytes: 64 * mebibyte,
    isReadOnly: false,
    partitions: [`${first?.name}1`],
  });
  expect(second).toMatchObject({ sizeBytes: 32 * mebibyte, isReadOnly: true, partitions: [] });
  expect(first?.diskSequence).toBeGreaterThan(0);
  expect(second?.diskSequence).not.toBe(first?.diskSequence);
});

test('A replugged disk has a new sequence number and the device a new address', async () => {
  await using folder = await scratchFolder();
  const image = join(folder.path, 'card.img');
  await makeDiskImage(image, { format: 'fat32' });
  await using camera = await massStorageGadget({ udc: 1, units: [{ image }] });
  await camera.plug();
  const withDisk = (device: UsbDevice): boolean => (disksOf(device)[0]?.sizeBytes ?? 0) > 0;
  const before = await deviceThat('the disk', camera.portPath, withDisk);
  await camera.unplug();
  expect(await readUsbDevice(camera.portPath)).toBeUndefined();
  await camera.plug();
  const after = await deviceThat('the disk again', camera.portPath, withDisk);
  expect(after.address).not.toBe(before.address);
  expect(disksOf(after)[0]?.diskSequence).toBeGreaterThan(disksOf(before)[0]?.diskSequence ?? Infinity);
});

test('A card changed in its slot is another disk sequence, under the same name and address', async () => {
  await using folder = await scratchFolder();
  const [first, second] = [join(folder.path, 'first.img'), join(folder.path, 'second.img')];
  await makeDiskImage(first, { format: 'fat32' });
  await makeDiskImage(second, { format: 'exfat', sizeBytes: 32 * mebibyte, isPartitioned: true });
  await using camera = await massStorageGadget({ udc: 1, units: [{ image: first }] });
  await camera.plug();
  const disk = async (sizeBytes: number): Promise<UsbDevice> =>
    deviceThat(`a disk of ${sizeBytes}`, camera.portPath, (device) => {
      return disksOf(device)[0]?.sizeBytes === sizeBytes;
    });
  const seen = [await disk(64 * mebibyte)];
  // The host locks the card in while it looks for partitions.
  await until('the card to be let go', () =>
    camera.function.eject().then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code !== 'EBUSY') throw error;
        return false;
      },
    ),
  );
  seen.push(await disk(0));
  await camera.function.insert(second);
  seen.push(await disk(32 * mebibyte));
  expect(new Set(seen.map(({ address }) => address)).size).toBe(1);
  expect(new Set(seen.map((device) => disksOf(device)[0]?.name)).size).toBe(1);
  expect(new Set(seen.map((device) => disksOf(device)[0]?.diskSequence)).size).toBe(3);
});

test('A slot without a card is a disk of no size', async () => {
  await using camera = await massStorageGadget({ udc: 1, units: [{}] });
  await camera.plug();
  const device = await deviceThat('the slot', camera.portPath, (found) => disksOf(found).length === 1);
  expect(disksOf(device)).toMatchObject([{ sizeBytes: 0, partitions: [] }]);
});
