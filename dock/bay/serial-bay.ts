import { access } from 'node:fs/promises';
import type { Camera } from '../camera/camera.ts';
import { consoleTransport } from '../camera/console-transport.ts';
import { openSmpCamera } from '../camera/smp-camera.ts';
import type { Clock } from '../clock.ts';
import { openSerialPort, type SerialLine } from '../host/serial-port.ts';
import { findUsbSerialPort } from '../host/usb-serial.ts';

/** A bay whose camera is reached over a serial line. */
export interface SerialBay {
  readonly place: { readonly path: string } | { readonly usbPort: string };
  readonly line: SerialLine;
  readonly burstLines: number;
  readonly lineGapMs: number;
}

/** A character takes a start bit, its data bits, perhaps parity, and its stop bits. */
function bytesPerSecond({ baudRate, dataBits, stopBits, parity }: SerialLine): number {
  return baudRate / (1 + dataBits + stopBits + (parity === 'none' ? 0 : 1));
}

/**
 * Opens the camera in a bay; undefined while there is no port at its place. Errors: `link.open-failed`,
 * `wire.timeout` when nothing answers, `smp.*`, `camera.identity-invalid`.
 */
export async function openSerialBay(
  bay: SerialBay,
  clock: Clock,
  signal: AbortSignal,
): Promise<Camera | undefined> {
  const path =
    'path' in bay.place ? await existing(bay.place.path) : await findUsbSerialPort(bay.place.usbPort);
  if (path === undefined) return undefined;
  const link = await openSerialPort(path, bay.line);
  const transport = consoleTransport(link, clock, { ...bay, bytesPerSecond: bytesPerSecond(bay.line) });
  return await openSmpCamera(transport, clock, signal);
}

async function existing(path: string): Promise<string | undefined> {
  return access(path).then(
    () => path,
    () => undefined,
  );
}
