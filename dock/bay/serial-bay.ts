import { access } from 'node:fs/promises';
import { hasCode } from '../../protocol/errors.ts';
import type { Camera } from '../camera/camera.ts';
import { consoleTransport } from '../camera/console-transport.ts';
import { openSmpCamera } from '../camera/smp-camera.ts';
import type { Clock } from '../clock.ts';
import type { FrameLog } from '../flight/frame-log.ts';
import { recordedLink } from '../flight/recorded-link.ts';
import { openSerialPort, type SerialLine } from '../host/serial-port.ts';
import { findUsbSerialPort } from '../host/usb-serial.ts';
import type { BayContent } from './bay-content.ts';

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
 * Opens the camera in a bay with a fixed serial line. Empty while there is no port at its place, or nothing answers on
 * it; `log` keeps what goes over the line. Errors: `link.open-failed`, `smp.*`, `camera.identity-invalid`.
 */
export async function openSerialBay(
  bay: SerialBay,
  clock: Clock,
  signal: AbortSignal,
  log?: FrameLog,
): Promise<BayContent> {
  const path =
    'path' in bay.place ? await existing(bay.place.path) : await findUsbSerialPort(bay.place.usbPort);
  if (path === undefined) return { kind: 'empty' };
  const port = await openSerialPort(path, bay.line);
  const link = log ? recordedLink(port, log) : port;
  const transport = consoleTransport(link, clock, { ...bay, bytesPerSecond: bytesPerSecond(bay.line) });
  return emptyIfSilent(openSmpCamera(transport, clock, signal), signal);
}

/** A port without an answer is an empty bay: on a fixed line nothing else can be told. */
export async function emptyIfSilent(opening: Promise<Camera>, signal: AbortSignal): Promise<BayContent> {
  try {
    return { kind: 'camera', camera: await opening };
  } catch (error) {
    signal.throwIfAborted();
    if (!hasCode(error, 'wire.timeout', 'link.closed')) throw error;
    return { kind: 'empty', detail: 'a port is there, nothing answers on it' };
  }
}

async function existing(path: string): Promise<string | undefined> {
  return access(path).then(
    () => path,
    () => undefined,
  );
}
