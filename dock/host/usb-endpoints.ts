import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The endpoints of a still-image interface, by number without the direction bit. */
export interface PtpEndpoints {
  readonly interfaceNumber: number;
  readonly bulkIn: number;
  readonly bulkOut: number;
  /** Packet sizes in bytes. */
  readonly bulkInPacketBytes: number;
  readonly bulkOutPacketBytes: number;
  /** Absent on some old cameras. */
  readonly interrupt?: { readonly number: number; readonly packetBytes: number };
  /** Kernel driver bound to the interface; `usbfs` means a program holds it. */
  readonly driver?: string;
}

/**
 * Finds the interface of a device that speaks PTP: class 06/01/01, else one whose name contains MTP (as BlackBerry and
 * old Samsung do), with bulk endpoints in both directions. From sysfs: asking the binding would open the device and
 * read its strings, up to 100 ms each on a bad one, with the event loop standing still.
 */
export async function readPtpEndpoints(
  portPath: string,
  wanted: number | 'auto',
  { sysRoot = '/sys' } = {},
): Promise<PtpEndpoints | undefined> {
  const device = join(sysRoot, 'bus/usb/devices', portPath);
  const names = (await list(device)).filter((name) => name.startsWith(`${portPath}:`)).sort();
  const interfaces = await Promise.all(names.map((name) => readInterface(join(device, name))));
  const usable = interfaces.filter((each) => each !== undefined);
  if (wanted !== 'auto')
    return usable.find(({ endpoints }) => endpoints.interfaceNumber === wanted)?.endpoints;
  const found =
    usable.find(({ classTriple }) => classTriple === '06/01/01') ??
    usable.find(({ description }) => description.includes('MTP'));
  return found?.endpoints;
}

interface FoundInterface {
  readonly classTriple: string;
  readonly description: string;
  readonly endpoints: PtpEndpoints;
}

async function readInterface(folder: string): Promise<FoundInterface | undefined> {
  const read = (name: string): Promise<string> => text(join(folder, name));
  const [number = '', cls, subclass, protocol, description = ''] = await Promise.all(
    ['bInterfaceNumber', 'bInterfaceClass', 'bInterfaceSubClass', 'bInterfaceProtocol', 'interface'].map(
      read,
    ),
  );
  const driver = /DRIVER=(.+)/.exec(await read('uevent'))?.[1];
  const folders = (await list(folder)).filter((name) => name.startsWith('ep_'));
  const endpoints = await Promise.all(folders.map((name) => readEndpoint(join(folder, name))));
  const bulkIn = endpoints.find(({ kind }) => kind === 'Bulk in');
  const bulkOut = endpoints.find(({ kind }) => kind === 'Bulk out');
  const interrupt = endpoints.find(({ kind }) => kind === 'Interrupt in');
  if (!bulkIn || !bulkOut) return undefined;
  return {
    classTriple: `${cls}/${subclass}/${protocol}`,
    description,
    endpoints: {
      interfaceNumber: Number.parseInt(number, 16),
      bulkIn: bulkIn.number,
      bulkOut: bulkOut.number,
      bulkInPacketBytes: bulkIn.packetBytes,
      bulkOutPacketBytes: bulkOut.packetBytes,
      ...(interrupt && {
        interrupt: { number: interrupt.number, packetBytes: interrupt.packetBytes },
      }),
      ...(driver !== undefined && { driver }),
    },
  };
}

async function readEndpoint(folder: string): Promise<{ kind: string; number: number; packetBytes: number }> {
  const [address = '', packetSize = '', type = '', direction = ''] = await Promise.all(
    ['bEndpointAddress', 'wMaxPacketSize', 'type', 'direction'].map((name) => text(join(folder, name))),
  );
  return {
    kind: `${type} ${direction}`,
    number: Number.parseInt(address, 16) & 0x0f,
    // Bits 11 and 12 count extra transactions of periodic endpoints. Never 0: lengths are divided by it.
    packetBytes: Number.parseInt(packetSize, 16) & 0x7ff || 64,
  };
}

function list(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

async function text(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).trim().slice(0, 256);
}
