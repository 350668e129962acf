import { readdir, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Finds the device node of a USB serial port by its physical port path, such as `1-1.2` (bus 1, port 1 of the
 * root hub, port 2 of the hub there) or `1-1.2:1.0` for one interface. Undefined while nothing is plugged in.
 * Source: sysfs; `/sys/class/tty/ttyACM0/device` is the interface itself, for `ttyUSB0` a child of it.
 */
export async function findUsbSerialPort(
  portPath: string,
  { sysRoot = '/sys', devRoot = '/dev' } = {},
): Promise<string | undefined> {
  const classFolder = join(sysRoot, 'class/tty');
  const found: { name: string; interface: string }[] = [];
  for (const name of await readdir(classFolder).catch(() => [])) {
    if (!/^tty(ACM|USB)\d+$/.test(name)) continue;
    const usbInterface = await usbInterfaceOf(join(classFolder, name, 'device'));
    if (usbInterface === undefined) continue;
    if (usbInterface === portPath || usbInterface.startsWith(`${portPath}:`)) {
      found.push({ name, interface: usbInterface });
    }
  }
  // A device with several serial interfaces: the first one is the console.
  found.sort((a, b) => a.interface.localeCompare(b.interface, 'en', { numeric: true }));
  return found[0] && join(devRoot, found[0].name);
}

/** The last path component of the form `1-1.2:1.0`. */
async function usbInterfaceOf(deviceLink: string): Promise<string | undefined> {
  const target = await realpath(deviceLink).catch(() => readlink(deviceLink).catch(() => undefined));
  return target?.split('/').findLast((part) => /^\d+-\d+(\.\d+)*:\d+\.\d+$/.test(part));
}
