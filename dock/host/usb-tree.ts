import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** One USB device as the kernel describes it. Strings are the device's own and untrusted. */
export interface UsbDevice {
  /** Where it is plugged in: `1-1.2` is bus 1, port 1 of the root hub, port 2 of the hub there. */
  readonly portPath: string;
  readonly busNumber: number;
  /** Given anew at each attach, from 1 to 127 and round again. */
  readonly address: number;
  /** Never given twice while this kernel runs: the inode of the device in sysfs. */
  readonly attachId: string;
  readonly vendorId: number;
  readonly productId: number;
  readonly manufacturer: string;
  readonly product: string;
  readonly serialNumber: string;
  /** Megabits per second: 1.5, 12, 480, 5000 … */
  readonly speedMbps: number;
  /** As the active configuration asks for, in mA; undefined while the device has none. */
  readonly maxPowerMa: number | undefined;
  readonly isHub: boolean;
  /** False while the kernel keeps the whole device from being configured. */
  readonly isAuthorized: boolean;
  readonly interfaces: readonly UsbInterface[];
}

export interface UsbInterface {
  readonly number: number;
  /** Class, subclass and protocol in hex, `06/01/01` for still image. */
  readonly classTriple: string;
  /** Its string descriptor; some call themselves MTP only here. */
  readonly description: string;
  readonly driver: string | undefined;
  /** False while the kernel keeps drivers and programs from using it. */
  readonly isAuthorized: boolean;
  readonly endpoints: number;
  /** Device nodes of its drivers. */
  readonly ttys: readonly string[];
  readonly hidraws: readonly string[];
  readonly blockDevices: readonly BlockDevice[];
}

/** A disk of a mass-storage interface; a camera with internal memory and a card shows two. */
export interface BlockDevice {
  /** Kernel name such as `sda`; reused, so never a key. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Unique for each attach since boot. */
  readonly diskSequence: number;
  /** A hint: the kernel clears it for a moment whenever it reads a disk again. */
  readonly isReadOnly: boolean;
  readonly partitions: readonly string[];
}

/** A port path as sysfs names devices. */
export const usbPortPath = /^\d{1,3}-\d{1,3}(\.\d{1,3}){0,5}$/;

/**
 * Every device on the USB busses, root hubs left out, read from sysfs: needs no permission and wakes no device.
 * A device that goes away while being read is left out.
 */
export async function readUsbTree({ sysRoot = '/sys' } = {}): Promise<UsbDevice[]> {
  const folder = join(sysRoot, 'bus/usb/devices');
  const names = (await readdir(folder).catch(() => [])).filter((name) => usbPortPath.test(name));
  const devices = await Promise.all(names.map((name) => readUsbDevice(name, { sysRoot })));
  return devices
    .filter((device) => device !== undefined)
    .toSorted((a, b) => a.portPath.localeCompare(b.portPath, 'en', { numeric: true }));
}

/** The device on a port; undefined while there is none. */
export async function readUsbDevice(
  portPath: string,
  { sysRoot = '/sys' } = {},
): Promise<UsbDevice | undefined> {
  const folder = join(sysRoot, 'bus/usb/devices', portPath);
  const attachId = await inodeOf(folder);
  const device = attachId === undefined ? undefined : await readDevice(portPath, folder, attachId);
  // Another device may have come in its place meanwhile: never the ids of one with the interfaces of the other.
  return (await inodeOf(folder)) === attachId ? device : undefined;
}

/** sysfs numbers its entries upwards; `stat` follows the link to the device itself. */
function inodeOf(folder: string): Promise<string | undefined> {
  return stat(folder, { bigint: true }).then(
    ({ ino }) => String(ino),
    () => undefined,
  );
}

/** As the kernel writes them. */
const usbId = /^[0-9a-f]{4}$/i;

async function readDevice(
  portPath: string,
  folder: string,
  attachId: string,
): Promise<UsbDevice | undefined> {
  const text = (name: string): Promise<string> => attribute(folder, name);
  const [vendorId, productId, address, deviceClass] = await Promise.all(
    ['idVendor', 'idProduct', 'devnum', 'bDeviceClass'].map(text),
  );
  if (!vendorId || !productId || !address) return undefined;
  if (!usbId.test(vendorId) || !usbId.test(productId)) return undefined;
  const [manufacturer, product, serialNumber, speed, maxPower, authorized] = await Promise.all(
    ['manufacturer', 'product', 'serial', 'speed', 'bMaxPower', 'authorized'].map(text),
  );
  const entries = await readdir(folder).catch(() => []);
  const interfaces = await Promise.all(
    entries
      .filter((name) => name.startsWith(`${portPath}:`))
      .map((name) => readInterface(join(folder, name))),
  );
  return {
    portPath,
    busNumber: Number(portPath.split('-')[0]),
    address: Number(address),
    attachId,
    vendorId: Number.parseInt(vendorId, 16),
    productId: Number.parseInt(productId, 16),
    manufacturer: manufacturer ?? '',
    product: product ?? '',
    serialNumber: serialNumber ?? '',
    speedMbps: Number(speed) || 0,
    maxPowerMa: maxPower ? Number.parseInt(maxPower, 10) : undefined,
    isHub: deviceClass === '09',
    isAuthorized: authorized !== '0',
    interfaces: interfaces.toSorted((a, b) => a.number - b.number),
  };
}

async function readInterface(folder: string): Promise<UsbInterface> {
  const text = (name: string): Promise<string> => attribute(folder, name);
  const [number, cls, subclass, protocol, description, authorized, endpoints] = await Promise.all(
    [
      'bInterfaceNumber',
      'bInterfaceClass',
      'bInterfaceSubClass',
      'bInterfaceProtocol',
      'interface',
      'authorized',
      'bNumEndpoints',
    ].map(text),
  );
  const driver = await readlink(join(folder, 'driver')).then(basename, () => undefined);
  return {
    number: Number.parseInt(number || '0', 16),
    classTriple: `${cls}/${subclass}/${protocol}`,
    description: description ?? '',
    driver,
    isAuthorized: authorized !== '0',
    endpoints: Number.parseInt(endpoints || '0', 16),
    ttys: await ttysOf(folder),
    hidraws: await below(folder, /^[0-9A-F]{4}:[0-9A-F]{4}:[0-9A-F]{4}\.[0-9A-F]+$/, 'hidraw'),
    blockDevices: await blockDevicesOf(folder),
  };
}

/** `ttyACM0` hangs below `tty/`, `ttyUSB0` directly below the interface. */
async function ttysOf(folder: string): Promise<string[]> {
  const direct = (await names(folder)).filter((name) => /^ttyUSB\d+$/.test(name));
  return [...direct, ...(await names(join(folder, 'tty')))].toSorted();
}

/** SCSI hosts, targets and logical units lie between the interface and its disks. */
async function blockDevicesOf(folder: string): Promise<BlockDevice[]> {
  const found: BlockDevice[] = [];
  for (const host of matching(await names(folder), /^host\d+$/)) {
    for (const target of matching(await names(join(folder, host)), /^target/)) {
      for (const unit of matching(await names(join(folder, host, target)), /^\d+:\d+:\d+:\d+$/)) {
        const block = join(folder, host, target, unit, 'block');
        for (const name of await names(block)) found.push(await readBlockDevice(join(block, name)));
      }
    }
  }
  return found;
}

async function readBlockDevice(folder: string): Promise<BlockDevice> {
  const name = basename(folder);
  const [size, sequence, readOnly] = await Promise.all(
    ['size', 'diskseq', 'ro'].map((attributeName) => attribute(folder, attributeName)),
  );
  return {
    name,
    sizeBytes: Number(size || 0) * 512,
    diskSequence: Number(sequence || 0),
    isReadOnly: readOnly === '1',
    partitions: (await names(folder)).filter((entry) => entry.startsWith(name)).toSorted(),
  };
}

async function below(folder: string, child: RegExp, kind: string): Promise<string[]> {
  const found = matching(await names(folder), child).map((name) => names(join(folder, name, kind)));
  return (await Promise.all(found)).flat().toSorted();
}

function matching(entries: readonly string[], pattern: RegExp): string[] {
  return entries.filter((name) => pattern.test(name));
}

function names(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

/** Empty when it is missing. Descriptors may hold anything: control characters are dropped, the length is bounded. */
async function attribute(folder: string, name: string): Promise<string> {
  const text = await readFile(join(folder, name), 'utf8').catch(() => '');
  return text
    .replace(/\p{Cc}/gu, '')
    .trim()
    .slice(0, 256);
}
