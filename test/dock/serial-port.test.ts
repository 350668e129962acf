// A port on this host: opened exclusively, and gone when it is gone.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openSerialBay } from '../../dock/bay/serial-bay.ts';
import { openPty } from '../../dock/host/pty.ts';
import { defaultSerialLine, openSerialPort } from '../../dock/host/serial-port.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { findUsbSerialPort } from '../../dock/host/usb-serial.ts';
import { bytesOf } from '../support/recordings.ts';

const folder = mkdtempSync(join(tmpdir(), 'dock-host-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a serial port', () => {
  test('carries any bytes both ways, unchanged', async () => {
    await using device = openPty();
    await using port = await openSerialPort(device.path, defaultSerialLine);
    for (const [from, to] of [
      [device, port],
      [port, device],
    ] as const) {
      const sent = Buffer.concat([
        Uint8Array.from({ length: 256 }, (_, index) => index),
        bytesOf('line', 20_000),
      ]);
      const received: Uint8Array[] = [];
      const all = new Promise<void>((resolve) => {
        to.onBytes((chunk) => {
          received.push(Uint8Array.from(chunk));
          if (received.reduce((sum, { length }) => sum + length, 0) >= sent.length) resolve();
        });
      });
      await from.write(sent);
      await all;
      expect(Buffer.concat(received).equals(sent)).toBe(true);
    }
  });

  test.for(['missing', 'a file', 'a folder'])('that is %s fails as link.open-failed', async (what) => {
    const path = join(folder, what.replace(' ', '-'));
    if (what === 'a file') writeFileSync(path, 'text');
    if (what === 'a folder') mkdirSync(path);
    await expect(openSerialPort(path, defaultSerialLine)).rejects.toMatchObject({ code: 'link.open-failed' });
  });

  test('is not shared with another program', async () => {
    await using device = openPty();
    await using first = await openSerialPort(device.path, defaultSerialLine);
    await expect(openSerialPort(first.name, defaultSerialLine)).rejects.toMatchObject({
      code: 'link.open-failed',
    });
  });

  test('that vanishes closes its link, and nothing can be written any more', async () => {
    const device = openPty(join(folder, 'vanishing'));
    await using port = await openSerialPort(join(folder, 'vanishing'), defaultSerialLine);
    await device[Symbol.asyncDispose]();
    await port.closed;
    await expect(port.write(Uint8Array.of(1))).rejects.toMatchObject({ code: 'link.closed' });
  });

  test('may be closed twice', async () => {
    await using device = openPty();
    const port = await openSerialPort(device.path, defaultSerialLine);
    await port[Symbol.asyncDispose]();
    await port[Symbol.asyncDispose]();
    await port.closed;
  });

  test('that is not there is an empty bay', async () => {
    const bay = { line: defaultSerialLine, burstLines: 2, lineGapMs: 1 };
    const { signal } = new AbortController();
    const nowhere = { path: join(folder, 'nowhere') };
    expect(await openSerialBay({ ...bay, place: nowhere }, systemClock, signal)).toEqual({ kind: 'empty' });
    expect(await openSerialBay({ ...bay, place: { usbPort: '99-99' } }, systemClock, signal)).toEqual({
      kind: 'empty',
    });
  });
});

describe('a USB serial port', () => {
  const sysRoot = join(folder, 'sys');
  const classFolder = join(sysRoot, 'class/tty');
  mkdirSync(classFolder, { recursive: true });

  /** As the kernel shows it: the class entry leads to the device, whose `device` leads to its parent. */
  function plugIn(name: string, parent: string): void {
    const device = join(sysRoot, 'devices', parent, 'tty', name);
    mkdirSync(device, { recursive: true });
    symlinkSync(join(sysRoot, 'devices', parent), join(device, 'device'));
    symlinkSync(device, join(classFolder, name));
  }
  const hub = 'pci0000:00/0000:00:14.0/usb1/1-1';
  plugIn('ttyACM0', `${hub}/1-1.2/1-1.2:1.0`);
  plugIn('ttyACM10', `${hub}/1-1.4/1-1.4:1.10`);
  plugIn('ttyACM2', `${hub}/1-1.4/1-1.4:1.2`);
  plugIn('ttyUSB0', `${hub}/1-1.3/1-1.3:1.0/ttyUSB0`);
  plugIn('ttyUSB1', 'pci0000:00/0000:00:14.0/usb1/1-10/1-10:1.0/ttyUSB1');
  plugIn('ttyS0', 'platform/serial8250');
  symlinkSync(join(sysRoot, 'devices/gone'), join(classFolder, 'ttyACM9'));
  const find = (port: string): Promise<string | undefined> =>
    findUsbSerialPort(port, { sysRoot, devRoot: '/dev' });

  test.for([
    ['1-1.2', '/dev/ttyACM0'],
    ['1-1.3', '/dev/ttyUSB0'],
    ['1-10', '/dev/ttyUSB1'],
    // Two interfaces: the first is the console, in the order of numbers.
    ['1-1.4', '/dev/ttyACM2'],
    ['1-1.4:1.10', '/dev/ttyACM10'],
  ] as const)('is found by the place it is plugged in: %s is %s', async ([port, path]) => {
    expect(await find(port)).toBe(path);
  });

  test.for(['1-1', '1-1.1', '2-1', '1-1.2.1', '1-1.4:1.1', ''])(
    'is not found where nothing is plugged in: %j',
    async (port) => {
      expect(await find(port)).toBeUndefined();
    },
  );

  test('is not found on a host without such ports', async () => {
    expect(await findUsbSerialPort('1-1', { sysRoot: join(folder, 'no-sys') })).toBeUndefined();
  });
});
