import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** One serial port of the host, on USB or not; it is not opened. */
export interface SerialNode {
  /** Such as `ttyUSB0`. */
  readonly name: string;
  readonly driver: string | undefined;
  /** The USB interface it belongs to, such as `1-1.2:1.0`; undefined for ports of the mainboard and others. */
  readonly usbInterface: string | undefined;
  /** Names that stay the same, such as `/dev/serial/by-path/…`; for the configuration. */
  readonly links: readonly string[];
}

/**
 * Every serial port with hardware behind it: what the serialport library knows from udev, and what sysfs shows, which
 * is all there is on a machine without udev. Without `sysRoot` and `devRoot` those of this machine.
 */
export async function listSerialNodes({ sysRoot = '/sys', devRoot = '/dev' } = {}): Promise<SerialNode[]> {
  const folder = join(sysRoot, 'class/tty');
  const names = new Set(await readdir(folder).catch(() => []));
  if (sysRoot === '/sys') for (const name of await knownToSerialport()) names.add(name);
  const links = await stableLinks(devRoot);
  const nodes = await Promise.all([...names].map((name) => readSerialNode(folder, name, links)));
  return nodes
    .filter((node) => node !== undefined)
    .toSorted((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

/** Loaded only here: the library brings an addon, which a probe of another tree does not need. */
async function knownToSerialport(): Promise<string[]> {
  try {
    const { SerialPort } = await import('serialport');
    return (await SerialPort.list()).map(({ path }) => path.replace(/^\/dev\//, ''));
  } catch {
    return []; // no udevadm here
  }
}

async function readSerialNode(
  folder: string,
  name: string,
  links: ReadonlyMap<string, readonly string[]>,
): Promise<SerialNode | undefined> {
  if (name.includes('/')) return undefined;
  // Consoles and pseudo-terminals have no device; a UART of type 0 is a number without a chip.
  const device = await realpath(join(folder, name, 'device')).catch(() => undefined);
  if (device === undefined) return undefined;
  const type = await readFile(join(folder, name, 'type'), 'utf8').catch(() => '');
  if (type.trim() === '0') return undefined;
  return {
    name,
    driver: await readlink(join(device, 'driver')).then(basename, () => undefined),
    usbInterface: device.split('/').findLast((part) => /^\d+-\d+(\.\d+)*:\d+\.\d+$/.test(part)),
    links: links.get(name) ?? [],
  };
}

/** The links udev keeps, by the name of the node they point to. */
async function stableLinks(devRoot: string): Promise<Map<string, string[]>> {
  const byName = new Map<string, string[]>();
  for (const kind of ['by-path', 'by-id']) {
    const folder = join(devRoot, 'serial', kind);
    const names: string[] = await readdir(folder).catch(() => []);
    for (const link of names.toSorted((a, b) => a.localeCompare(b))) {
      const target = await readlink(join(folder, link)).catch(() => undefined);
      if (target === undefined) continue;
      const links = byName.get(basename(target)) ?? [];
      byName.set(basename(target), [...links, join(folder, link)]);
    }
  }
  return byName;
}
