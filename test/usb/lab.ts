import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** ext4 on a disk of its own: fsync is real here, and it does not take from memory. /tmp is memory. */
export const labDisk = process.env['LAB_DISK'] ?? '/mnt/disk';

/** Shared with the host, slow; what is put here outlives the machine only with USB_LAB_EXCHANGE. */
export const labExchange = process.env['LAB_EXCHANGE'] ?? '/mnt/lab';

/** Where the kernel names USB devices. */
export const usbDevices = '/sys/bus/usb/devices';

/** Runs a program and returns what it said; rejects with its error output when it fails. */
export async function run(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { encoding: 'utf8' });
  return stdout.trim();
}

/** Polls until the probe gives something other than undefined or false; rejects naming what was awaited. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  { timeoutMs = 60_000, everyMs = 20 } = {},
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found as Exclude<T, undefined | false>;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** The text of a sysfs or configfs attribute; undefined when there is none. */
export function attributeOf(folder: string, name: string): Promise<string | undefined> {
  return readFile(join(folder, name), 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

/** Where on the host side a gadget on `dummy_udc.N` appears: each has a root hub of its own with one port. */
export async function portPathOfUdc(udc: number): Promise<string> {
  return `${await rootHub(`/sys/devices/platform/dummy_hcd.${udc}`)}-1`;
}

/**
 * Ports behind the hub in a hub, present with USB_LAB_HUBS=1: a camera served by QEMU (MTP without zero-length
 * packets, GetPartialObject only, full speed; its folder is `labExchange/qemu-camera`) and a blank FAT32 disk.
 */
export async function hubPorts(): Promise<{ hub: string; camera: string; card: string }> {
  const driver = '/sys/bus/pci/drivers/xhci_hcd';
  const controller = (await readdir(driver)).find((name) => name.startsWith('0000:'));
  if (controller === undefined) throw new Error('no xHCI: boot with USB_LAB_HUBS=1');
  const bus = await rootHub(join(driver, controller));
  return { hub: `${bus}-1.2`, camera: `${bus}-1.2.1`, card: `${bus}-1.2.2` };
}

/** The bus number of a controller's (USB 2) root hub. */
async function rootHub(controller: string): Promise<number> {
  for (const name of await readdir(controller)) {
    if (/^usb\d+$/.test(name) && (await attributeOf(join(controller, name), 'speed')) === '480')
      return Number(name.slice(3));
  }
  throw new Error(`${controller} has no USB 2 bus`);
}

/** Pulls QEMU's camera (`device_del camera`), or the disk (`device_del card`), as QEMU's monitor words it. */
export function tellQemu(line: string): Promise<void> {
  return appendFile(join(labExchange, 'monitor'), `${line}\n`);
}

/** Allows or forbids a device (`9-1`) or one of its interfaces (`9-1:1.0`). */
export function setAuthorized(name: string, isAuthorized: boolean): Promise<void> {
  return writeFile(join(usbDevices, name, 'authorized'), isAuthorized ? '1' : '0');
}

/** A folder that goes away with its scope: on `labDisk` for what must be durable or large, else in memory. */
export async function scratchFolder(below = '/tmp'): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(below, 'lab-'));
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  };
}
