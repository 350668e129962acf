import { readdir, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';

/** One raw HID node as the kernel describes it; no device is opened. Strings are the device's own and untrusted. */
export interface HidNode {
  /** Such as `hidraw0`. */
  readonly name: string;
  /** How it is attached. */
  readonly bus: 'usb' | 'bluetooth' | 'other';
  readonly vendorId: number;
  readonly productId: number;
  readonly deviceName: string;
  /** Empty when it has none. */
  readonly serialNumber: string;
  /** The USB interface it belongs to, such as `1-1.2:1.0`. */
  readonly usbInterface: string | undefined;
  /** What it says it is first of all, from its report descriptor; undefined when that cannot be read. */
  readonly usage: HidUsage | undefined;
}

/** Source: USB HID Usage Tables 1.5; page 1 usage 6 is a keyboard, pages from ff00 belong to vendors. */
export interface HidUsage {
  readonly page: number;
  readonly id: number;
}

/** Linux `include/uapi/linux/input.h`. */
const busNames: Readonly<Record<number, HidNode['bus']>> = { 3: 'usb', 5: 'bluetooth' };

/** Every hidraw node, from sysfs. One that goes away while being read is left out. */
export async function listHidNodes({ sysRoot = '/sys' } = {}): Promise<HidNode[]> {
  const folder = join(sysRoot, 'class/hidraw');
  const names = (await readdir(folder).catch(() => [])).filter((name) => /^hidraw\d+$/.test(name));
  const nodes = await Promise.all(names.map((name) => readHidNode(folder, name)));
  return nodes
    .filter((node) => node !== undefined)
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

async function readHidNode(folder: string, name: string): Promise<HidNode | undefined> {
  const device = await realpath(join(folder, name, 'device')).catch(() => undefined);
  if (device === undefined) return undefined;
  const uevent = await readFile(join(device, 'uevent'), 'utf8').catch(() => '');
  const fields = new Map(uevent.split('\n').map((line) => keyAndValue(line)));
  const [bus, vendorId, productId] = (fields.get('HID_ID') ?? '').split(':').map((id) => parseInt(id, 16));
  if (bus === undefined || vendorId === undefined || productId === undefined) return undefined;
  const descriptor = await readFile(join(device, 'report_descriptor')).catch(() => undefined);
  return {
    name,
    bus: busNames[bus] ?? 'other',
    vendorId,
    productId,
    deviceName: fields.get('HID_NAME') ?? '',
    serialNumber: fields.get('HID_UNIQ') ?? '',
    usbInterface: device.split('/').findLast((part) => /^\d+-\d+(\.\d+)*:\d+\.\d+$/.test(part)),
    usage: descriptor && firstUsage(descriptor),
  };
}

function keyAndValue(line: string): [string, string] {
  const at = line.indexOf('=');
  const value = line.slice(at + 1).replace(/\p{Cc}/gu, '');
  return [line.slice(0, Math.max(at, 0)), value.trim().slice(0, 256)];
}

/**
 * The usage of the first collection of a report descriptor; undefined when there is none. Source: Device Class
 * Definition for HID 1.11, section 6.2.2: short items of a tag, a type and 0, 1, 2 or 4 bytes, little-endian.
 */
export function firstUsage(descriptor: Uint8Array): HidUsage | undefined {
  let page = 0;
  let id: number | undefined;
  for (let at = 0; at < descriptor.length;) {
    const prefix = descriptor[at] ?? 0;
    const length = prefix === longItem ? 2 + (descriptor[at + 1] ?? 0) : [0, 1, 2, 4][prefix & 3];
    const data = descriptor.subarray(at + 1, at + 1 + (length ?? 0));
    const value = data.reduceRight((sum, byte) => sum * 256 + byte, 0);
    const tag = prefix & 0xfc;
    if (tag === usagePageTag) page = value;
    // A usage of four bytes brings its page along.
    else if (tag === usageTag && id === undefined) {
      if (data.length === 4) page = Math.floor(value / 0x10000);
      id = value % 0x10000;
    } else if (tag === collectionTag) return id === undefined ? undefined : { page, id };
    at += 1 + (length ?? 0);
  }
  return undefined;
}

const longItem = 0xfe;
const usagePageTag = 0x04;
const usageTag = 0x08;
const collectionTag = 0xa0;
