import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** A device or an interface as sysfs names and describes it, uninterpreted. */
export interface RawUsbEntry {
  /** `usb1` for a root hub, `1-1.2` for a device, `1-1.2:1.0` for an interface. */
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly driver: string | undefined;
  /** Device and configuration descriptors as the device gave them; without strings. Undefined for interfaces. */
  readonly descriptors: Uint8Array | undefined;
}

/** A closed list: other attributes may name the machine or its user. */
const attributeNames = `
  authorized avoid_reset_quirk bConfigurationValue bDeviceClass bDeviceProtocol bDeviceSubClass
  bMaxPacketSize0 bMaxPower bNumConfigurations bNumInterfaces bcdDevice bmAttributes busnum
  configuration devnum devpath idProduct idVendor manufacturer maxchild product quirks removable
  rx_lanes serial speed tx_lanes urbnum version bAlternateSetting bInterfaceClass bInterfaceNumber
  bInterfaceProtocol bInterfaceSubClass bNumEndpoints interface`
  .trim()
  .split(/\s+/);
/** A configuration descriptor states its length in 16 bits. */
const longestDescriptors = 64 * 1024;
const longestText = 512;

/** Everything on the USB busses, root hubs and interfaces included, by name. What goes away meanwhile is left out. */
export async function readRawUsb({ sysRoot = '/sys' } = {}): Promise<RawUsbEntry[]> {
  const folder = join(sysRoot, 'bus/usb/devices');
  const names = (await readdir(folder).catch(() => [])).toSorted((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  );
  const entries = await Promise.all(names.map((name) => readEntry(join(folder, name))));
  return entries.filter(({ attributes }) => Object.keys(attributes).length > 0);
}

async function readEntry(folder: string): Promise<RawUsbEntry> {
  const attributes: Record<string, string> = {};
  for (const name of attributeNames) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => undefined);
    if (text !== undefined) attributes[name] = text.trim().slice(0, longestText);
  }
  const descriptors = await readFile(join(folder, 'descriptors')).catch(() => undefined);
  return {
    name: basename(folder),
    attributes,
    driver: await readlink(join(folder, 'driver')).then(basename, () => undefined),
    descriptors: descriptors?.subarray(0, longestDescriptors),
  };
}
