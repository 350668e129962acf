import { execFileSync } from 'node:child_process';
import { rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { firstUsage, listHidNodes } from '../../dock/host/hid-list.ts';
import { listSerialNodes } from '../../dock/host/serial-list.ts';
import { usbClassName } from '../../dock/host/usb-class-names.ts';
import { findUsbSerialPort } from '../../dock/host/usb-serial.ts';
import { readUsbDevice, readUsbTree } from '../../dock/host/usb-tree.ts';
import { FakeSysfs, keyboardReports, vendorReports, type FakeUsbDevice } from '../support/fake-sysfs.ts';

// The tree is read while people plug and unplug, and every string in it was chosen by whoever made the device.

let sysfs: FakeSysfs;
const treeOf = (...devices: FakeUsbDevice[]): FakeSysfs => (sysfs = new FakeSysfs(devices));
afterEach(() => sysfs?.[Symbol.dispose]());

describe('the USB tree', () => {
  test('holds hubs and devices with interfaces and nodes, without root hubs, in the order of ports', async () => {
    treeOf(
      { port: '1-1.10', product: 'Ten' },
      { port: '1-1', deviceClass: '09', interfaces: [{ class: '09/00/00', driver: 'hub' }] },
      {
        port: '1-1.2',
        address: 7,
        id: '2207:00a1',
        manufacturer: 'Acme',
        product: 'Camera',
        serial: 'BC-1',
        speed: '5000',
        maxPower: '896mA',
        interfaces: [
          { class: '08/06/50', driver: 'usb-storage', disk: 'sdb' },
          { class: '03/00/00', driver: 'usbhid', hidraw: 'hidraw3' },
          { class: '02/02/01', driver: 'cdc_acm', tty: 'ttyACM1', description: 'Console' },
          { class: 'ff/00/00', driver: 'cp210x', tty: 'ttyUSB4', authorized: false },
        ],
      },
    );
    const tree = await readUsbTree(sysfs);
    expect(tree.map(({ portPath, isHub }) => [portPath, isHub])).toEqual([
      ['1-1', true],
      ['1-1.2', false],
      ['1-1.10', false],
    ]);
    expect(tree[1]).toEqual({
      portPath: '1-1.2',
      attachId: expect.stringMatching(/^\d+$/),
      busNumber: 1,
      address: 7,
      vendorId: 0x2207,
      productId: 0x00a1,
      manufacturer: 'Acme',
      product: 'Camera',
      serialNumber: 'BC-1',
      speedMbps: 5000,
      maxPowerMa: 896,
      isHub: false,
      isAuthorized: true,
      interfaces: [
        shown(0, '08/06/50', 'usb-storage', {
          blockDevices: [
            { name: 'sdb', sizeBytes: 1_048_576, diskSequence: 9, isReadOnly: false, partitions: ['sdb1'] },
          ],
        }),
        shown(1, '03/00/00', 'usbhid', { hidraws: ['hidraw3'] }),
        shown(2, '02/02/01', 'cdc_acm', { ttys: ['ttyACM1'], description: 'Console' }),
        shown(3, 'ff/00/00', 'cp210x', { ttys: ['ttyUSB4'], isAuthorized: false }),
      ],
    });
  });

  test('is empty where there is no USB', async () => {
    expect(await readUsbTree({ sysRoot: '/nonexistent' })).toEqual([]);
    treeOf();
    expect(await readUsbTree(sysfs)).toEqual([]);
    expect(await readUsbDevice('1-1', sysfs)).toBeUndefined();
  });

  test('takes strings for what they are: untrusted, of any length', async () => {
    treeOf({
      port: '1-1',
      product: `A\u001b[2J\u0007\u009bB\tC\n`,
      manufacturer: 'x'.repeat(10_000),
      serial: '  ',
    });
    const [device] = await readUsbTree(sysfs);
    expect(device).toMatchObject({ product: 'A[2JBC', manufacturer: 'x'.repeat(256), serialNumber: '' });
  });

  test('takes bytes that are no text, and a cut in the middle of a character, without losing the device', async () => {
    treeOf({ port: '1-1' });
    writeFileSync(sysfs.pathOf('1-1', 'product'), Buffer.from([0xff, 0xfe, 0x41, 0x00, 0xc3]));
    writeFileSync(sysfs.pathOf('1-1', 'serial'), `${'x'.repeat(255)}😀`);
    const device = await readUsbDevice('1-1', sysfs);
    expect(device?.product).toBe('\uFFFD\uFFFDA\uFFFD');
    expect(device?.serialNumber.startsWith('x'.repeat(255))).toBe(true);
  });

  test('shows a device without a configuration, and one that the kernel keeps back', async () => {
    treeOf({ port: '1-1', authorized: false });
    for (const name of ['bMaxPower', 'manufacturer', 'product', 'serial', 'speed']) {
      rmSync(sysfs.pathOf('1-1', name), { force: true });
    }
    expect(await readUsbDevice('1-1', sysfs)).toMatchObject({
      isAuthorized: false,
      maxPowerMa: undefined,
      speedMbps: 0,
      manufacturer: '',
      interfaces: [],
    });
  });

  test.each(['idVendor', 'idProduct', 'devnum'])(
    'leaves out a device without %s: it is going away',
    async (name) => {
      treeOf({ port: '1-1' }, { port: '1-2' });
      unlinkSync(sysfs.pathOf('1-1', name));
      expect((await readUsbTree(sysfs)).map(({ portPath }) => portPath)).toEqual(['1-2']);
    },
  );

  test('leaves out a device that goes away while it is read', async () => {
    treeOf({ port: '1-1', interfaces: [{ class: '06/01/01' }] }, { port: '1-2' });
    // The reader waits on this attribute until the device is gone.
    const fifo = sysfs.pathOf('1-1', 'product');
    execFileSync('mkfifo', [fifo]);
    const reading = readUsbTree(sysfs);
    const writing = open(fifo, () => sysfs.unplug('1-1'));
    await writing;
    expect((await reading).map(({ portPath }) => portPath)).toEqual(['1-2']);
  });

  test('leaves out a device in whose place another has come while it was read', async () => {
    treeOf({ port: '1-1', id: '1111:1111', product: 'old', interfaces: [{ class: '06/01/01' }] });
    const fifo = sysfs.pathOf('1-1', 'manufacturer');
    execFileSync('mkfifo', [fifo]);
    const reading = readUsbTree(sysfs);
    await open(fifo, () => {
      sysfs.unplug('1-1');
      sysfs.plug({ port: '1-1', id: '2222:2222', interfaces: [{ class: '03/01/01' }] });
    });
    // Never the ids of one with the interfaces of the other.
    expect(await reading).toEqual([]);
    expect(await readUsbTree(sysfs)).toMatchObject([{ vendorId: 0x2222 }]);
  });
});

/** Opens a pipe for writing, which waits for the reader; then lets something happen before the reader goes on. */
async function open(fifo: string, happens: () => void): Promise<void> {
  const writer = await openFile(fifo, 'w');
  try {
    happens();
  } finally {
    await writer.close();
  }
}

function shown(number: number, classTriple: string, driver: string, more: object): object {
  const nothing = {
    description: '',
    isAuthorized: true,
    endpoints: 2,
    ttys: [],
    hidraws: [],
    blockDevices: [],
  };
  return { number, classTriple, driver, ...nothing, ...more };
}

describe('serial ports', () => {
  test('are those with hardware, on USB or not, with their stable names', async () => {
    treeOf(
      { port: '1-1.2', interfaces: [{ class: '02/02/01', driver: 'cdc_acm', tty: 'ttyACM0' }] },
      { port: '1-3', interfaces: [{ class: 'ff/00/00', driver: 'ftdi_sio', tty: 'ttyUSB0' }] },
    );
    sysfs.addUart('ttyS0');
    sysfs.addUart('ttyS1', { type: '0' });
    const byPath = (name: string): string[] => [
      join(sysfs.devRoot, `serial/by-path/pci-0000:00:14.0-${name}`),
    ];
    expect(await listSerialNodes(sysfs)).toEqual([
      { name: 'ttyACM0', driver: 'cdc_acm', usbInterface: '1-1.2:1.0', links: byPath('ttyACM0') },
      { name: 'ttyS0', driver: undefined, usbInterface: undefined, links: [] },
      { name: 'ttyUSB0', driver: undefined, usbInterface: '1-3:1.0', links: byPath('ttyUSB0') },
    ]);
    expect(await findUsbSerialPort('1-3', sysfs)).toBe(join(sysfs.devRoot, 'ttyUSB0'));
    expect(await findUsbSerialPort('1-1', sysfs)).toBeUndefined();
  });

  test('of this machine are listed without a word of complaint', async () => {
    expect(await listSerialNodes()).toBeInstanceOf(Array);
  });
});

describe('HID nodes', () => {
  test('say what they are and where they hang', async () => {
    treeOf(
      { port: '1-1.2', interfaces: [{ class: '03/00/00', hidraw: 'hidraw10' }] },
      {
        port: '1-4',
        interfaces: [{ class: '03/01/01', hidraw: 'hidraw2', reportDescriptor: keyboardReports }],
      },
    );
    sysfs.addBluetoothHid('hidraw3', 'Keyboard\u001b[2J');
    const camera = { bus: 'usb', vendorId: 0x1d6b, deviceName: 'A HID', usage: { page: 0xff00, id: 1 } };
    const keyboard = { page: 1, id: 6 };
    expect(await listHidNodes(sysfs)).toMatchObject([
      { name: 'hidraw2', usbInterface: '1-4:1.0', usage: keyboard },
      {
        name: 'hidraw3',
        bus: 'bluetooth',
        usbInterface: undefined,
        deviceName: 'Keyboard[2J',
        usage: keyboard,
      },
      { name: 'hidraw10', usbInterface: '1-1.2:1.0', ...camera },
    ]);
  });

  test.each([
    ['a keyboard', '05010906a101', { page: 1, id: 6 }],
    ['a vendor page of two bytes', '0600ff0901a101', { page: 0xff00, id: 1 }],
    ['a usage of four bytes with its page', '0b01000cff a101', { page: 0xff0c, id: 1 }],
    ['a long item before', 'fe0210aabb 05010902a101', { page: 1, id: 2 }],
    ['no collection', '05010906', undefined],
    ['a collection without usage', '0501a101', undefined],
    ['nothing', '', undefined],
  ])('%s is read from the report descriptor', (_what, hex, usage) => {
    expect(firstUsage(Buffer.from(hex.replaceAll(' ', ''), 'hex'))).toEqual(usage);
  });

  test('end with their report descriptor, wherever it is cut', () => {
    for (const whole of [vendorReports, keyboardReports, Buffer.alloc(4096, 0xfe)]) {
      for (let length = 0; length <= Math.min(whole.length, 64); length++)
        firstUsage(whole.subarray(0, length));
    }
  });
});

test.each([
  ['06/01/01', 'still image (PTP, MTP)'],
  ['08/06/62', 'mass storage (UAS)'],
  ['02/02/01', 'serial port (CDC-ACM)'],
  ['02/02/ff', 'network (RNDIS)'],
  ['03/00/00', 'HID'],
  ['ff/12/34', 'vendor specific'],
  ['77/00/00', 'unknown class'],
  ['//', 'unknown class'],
])('interface %s is called %s', (triple, name) => {
  expect(usbClassName(triple)).toBe(name);
});
