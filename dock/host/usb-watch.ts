import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { usbPortPath } from './usb-tree.ts';

const lookEveryMs = 250;

/**
 * Calls `wake` with the port path of every USB device that came or went, until the signal aborts. Looks at the names in sysfs and at their
 * inodes, which are new with every attach: a few system calls four times a second, where the kernel's hot-plug
 * messages need udevd, come up to a second later and are lost when they come too fast. Still only a hint: bays look
 * for themselves at their own pace as well.
 */
export function watchUsbPorts(
  wake: (portPath: string) => void,
  clock: Clock,
  signal: AbortSignal,
  { sysRoot = '/sys' } = {},
): void {
  const folder = join(sysRoot, 'bus/usb/devices');
  const look = async (): Promise<void> => {
    for (let before = attaches(folder); ;) {
      await clock.sleep(lookEveryMs, signal);
      const now = attaches(folder);
      for (const portPath of new Set([...before.keys(), ...now.keys()])) {
        if (before.get(portPath) !== now.get(portPath)) wake(portPath);
      }
      before = now;
    }
  };
  look().catch(() => undefined); // ends with the signal
}

/** The inode of each device by its port path. */
function attaches(folder: string): Map<string, number | undefined> {
  try {
    const names = readdirSync(folder).filter((name) => usbPortPath.test(name));
    return new Map(
      names.map((name) => [name, lstatSync(join(folder, name), { throwIfNoEntry: false })?.ino]),
    );
  } catch {
    return new Map();
  }
}
