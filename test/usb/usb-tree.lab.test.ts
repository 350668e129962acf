// The tree as Linux really shows it: names, nodes and moments at which parts of it are missing cannot be made up.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readUsbDevice, readUsbTree, type UsbDevice } from '../../dock/host/usb-tree.ts';
import { makeDiskImage } from './disk-image.ts';
import { Gadget } from './gadget.ts';
import { acmGadget, hidGadget, keyboardGadget, massStorageGadget, mtpGadget } from './gadgets.ts';
import { HidFunction, MassStorageFunction } from './kernel-functions.ts';
import { deviceThat, disksOf } from './lab-tree.ts';
import { hubPorts, portPathOfUdc, scratchFolder, setAuthorized, tellQemu, until } from './lab.ts';

/** 64 bytes each way on a vendor page. */
const reportPipe = {
  reportDescriptor: Buffer.from('0600ff0901a101150026ff00750895400901810209019102c0', 'hex'),
  reportLength: 64,
};

test('An MTP camera shows ids, strings and its interface', async () => {
  await using storage = await scratchFolder();
  await using camera = await mtpGadget({
    udc: 0,
    vendorId: 0x2672,
    productId: 0x0042,
    manufacturer: 'Қамера',
    product: 'Body  camera',
    serialNumber: 'BC-0001',
    maxPowerMa: 250,
    storages: [{ path: storage.path }],
  });
  expect(await readUsbDevice(camera.portPath)).toBeUndefined();
  await camera.plug();
  const device = await deviceThat(
    'its interface',
    camera.portPath,
    ({ interfaces }) => interfaces.length > 0,
  );
  expect(device).toEqual({
    portPath: await portPathOfUdc(0),
    busNumber: Number(camera.portPath.split('-')[0]),
    address: expect.any(Number) as number,
    attachId: expect.stringMatching(/^\d+$/) as string,
    vendorId: 0x2672,
    productId: 0x0042,
    manufacturer: 'Қамера',
    product: 'Body  camera',
    serialNumber: 'BC-0001',
    speedMbps: 480,
    maxPowerMa: 250,
    isHub: false,
    isAuthorized: true,
    interfaces: [
      {
        number: 0,
        classTriple: '06/01/01',
        description: 'MTP',
        driver: undefined,
        isAuthorized: true,
        endpoints: 3,
        ttys: [],
        hidraws: [],
        blockDevices: [],
      },
    ],
  });
});

test('A responder that dies takes the camera off the bus, and it comes back under another address', async () => {
  await using storage = await scratchFolder();
  await using camera = await mtpGadget({ udc: 0, storages: [{ path: storage.path }] });
  await camera.plug();
  const before = await readUsbDevice(camera.portPath);
  await camera.function.killResponder();
  await until('the camera to be gone', async () => (await readUsbDevice(camera.portPath)) === undefined);
  await camera.function.restartResponder();
  await camera.plug();
  const after = await readUsbDevice(camera.portPath);
  expect(after?.address).not.toBe(before?.address);
});

test('Nine MTP cameras at once are nine devices, and each is told by its serial number', async () => {
  await using storage = await scratchFolder();
  await using scope = new AsyncDisposableStack();
  const cameras = [];
  for (let udc = 0; udc < 9; udc += 1) {
    const options = { udc, serialNumber: `BC-${udc}`, storages: [{ path: storage.path }] };
    cameras.push(scope.use(await mtpGadget(options)));
  }
  await Promise.all(cameras.map((camera) => camera.plug()));
  const tree = await readUsbTree();
  expect(
    cameras.map(({ portPath }) => tree.find((device) => device.portPath === portPath)?.serialNumber),
  ).toEqual(cameras.map(({ options }) => options.serialNumber));
});

test('A serial line has its node at the control interface', async () => {
  await using camera = await acmGadget({ udc: 2 });
  await camera.plug();
  const device = await deviceThat('the line', camera.portPath, ({ interfaces }) => {
    return interfaces.some(({ ttys }) => ttys.length > 0);
  });
  expect(device.interfaces).toMatchObject([
    {
      number: 0,
      classTriple: '02/02/01',
      driver: 'cdc_acm',
      ttys: [expect.stringMatching(/^ttyACM\d+$/)],
    },
    { number: 1, classTriple: '0a/00/00', driver: 'cdc_acm', ttys: [] },
  ]);
});

test('A report pipe and a disk on one camera each show their own nodes', async () => {
  await using folder = await scratchFolder();
  const image = join(folder.path, 'card.img');
  await makeDiskImage(image, { format: 'exfat' });
  const pipe = new HidFunction(reportPipe);
  await using camera = await Gadget.create({ udc: 3 }, pipe, new MassStorageFunction([{ image }]));
  await camera.plug();
  const device = await deviceThat('pipe and disk', camera.portPath, (found) => {
    return disksOf(found).length === 1 && found.interfaces[0]?.hidraws.length === 1;
  });
  expect(device.interfaces).toMatchObject([
    { number: 0, classTriple: '03/00/00', driver: 'usbhid', hidraws: [expect.stringMatching(/^hidraw\d+$/)] },
    { number: 1, classTriple: '08/06/50', driver: 'usb-storage', hidraws: [] },
  ]);
  await writeFile(pipe.node, new Uint8Array(64));
});

test('A keyboard behind a disk is told by its interface triple', async () => {
  await using folder = await scratchFolder();
  const image = join(folder.path, 'card.img');
  await makeDiskImage(image, { format: 'fat32' });
  await using camera = await keyboardGadget({ udc: 3, units: [{ image }] });
  await camera.plug();
  const device = await deviceThat(
    'both interfaces',
    camera.portPath,
    ({ interfaces }) => interfaces.length === 2,
  );
  expect(device.interfaces.map(({ classTriple }) => classTriple)).toEqual(['08/06/50', '03/01/01']);
});

test('An unlock changes the device on the port: other ids, other address, same port path', async () => {
  await using folder = await scratchFolder();
  const image = join(folder.path, 'card.img');
  await makeDiskImage(image, { format: 'fat32' });
  await using locked = await hidGadget({ udc: 4, vendorId: 0x4255, productId: 1, ...reportPipe });
  await using unlocked = await massStorageGadget({
    udc: 4,
    vendorId: 0x4255,
    productId: 2,
    serialNumber: '',
    units: [{ image }],
  });
  await locked.plug();
  const before = await readUsbDevice(locked.portPath);
  await locked.plugAs(unlocked);
  const after = await readUsbDevice(locked.portPath);
  expect(before).toMatchObject({ productId: 1, serialNumber: 'LAB0004' });
  expect(after).toMatchObject({ productId: 2, serialNumber: '', portPath: before?.portPath });
  expect(after?.address).not.toBe(before?.address);
});

test('A forbidden interface has no driver and says so; the rest of the device stays', async () => {
  await using camera = await hidGadget({ udc: 5, ...reportPipe });
  await camera.plug();
  await deviceThat('the pipe', camera.portPath, ({ interfaces }) => interfaces[0]?.hidraws.length === 1);
  await setAuthorized(`${camera.portPath}:1.0`, false);
  const device = await deviceThat('the driver to leave', camera.portPath, ({ interfaces }) => {
    return interfaces[0]?.driver === undefined;
  });
  expect(device.isAuthorized).toBe(true);
  expect(device.interfaces).toMatchObject([{ isAuthorized: false, hidraws: [], classTriple: '03/00/00' }]);
});

test('A forbidden device keeps its ids and has no interfaces', async () => {
  await using camera = await hidGadget({ udc: 5, vendorId: 0x1209, serialNumber: 'BC-5', ...reportPipe });
  await camera.plug();
  await setAuthorized(camera.portPath, false);
  const device = await readUsbDevice(camera.portPath);
  expect(device).toMatchObject({
    vendorId: 0x1209,
    serialNumber: 'BC-5',
    isAuthorized: false,
    interfaces: [],
  });
  expect(device?.maxPowerMa).toBeUndefined();
  await setAuthorized(camera.portPath, true);
  const allowed = await deviceThat(
    'its interface',
    camera.portPath,
    ({ interfaces }) => interfaces.length > 0,
  );
  expect(allowed).toMatchObject({ isAuthorized: true, serialNumber: 'BC-5' });
});

test('Behind a hub in a hub, port paths say the way; a device pulled there is gone from the tree', async () => {
  const { hub, camera, card } = await hubPorts();
  await deviceThat('the disk', card, (device) => disksOf(device).length === 1);
  const tree = await readUsbTree();
  const at = (portPath: string): UsbDevice | undefined => tree.find((device) => device.portPath === portPath);
  expect(at(hub)).toMatchObject({ isHub: true, interfaces: [{ classTriple: '09/00/00' }] });
  expect(at(camera)).toMatchObject({
    isHub: false,
    speedMbps: 12,
    interfaces: [{ classTriple: '06/01/01' }],
  });
  expect(at(card)).toMatchObject({ isHub: false, interfaces: [{ classTriple: '08/06/50' }] });
  expect(tree.map(({ portPath }) => portPath).filter((path) => path.startsWith(hub))).toEqual([
    hub,
    camera,
    card,
  ]);
  await tellQemu('device_del card');
  await until('the disk to be gone', async () => (await readUsbDevice(card)) === undefined);
  expect((await readUsbTree()).map(({ portPath }) => portPath)).not.toContain(card);
});
