import { access, constants, readdir, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HIDAsync } from 'node-hid';
import { DockError } from '../../protocol/errors.ts';
import {
  firstVendorPage,
  parseReportDescriptor,
  type ReportDescriptor,
} from '../../protocol/hid/report-descriptor.ts';
import { hidReportSize } from '../../protocol/hid/report-frame.ts';
import type { HidPipe } from '../camera/hid-pipe.ts';

/** Without report ids hidapi wants a zero before each report written, and gives none before those read. */
const noReportId = 0;

/**
 * Opens a hidraw node for SMP over HID. A device that is anything but vendor-defined, such as a keyboard, is refused
 * before a report is sent or read. The kernel knows no exclusive use: another program that opens the node gets the
 * same reports. Errors: `link.closed` (it went away), `usb.access-denied`, `link.open-failed`, `camera.stranger`,
 * `camera.unknown-model` (report ids, other sizes), `wire.malformed`.
 */
export async function openHidPipe(devNode: string, { sysRoot = '/sys' } = {}): Promise<HidPipe> {
  const device = await openNode(devNode);
  try {
    // Read while the node is open: its name cannot have passed to another device unnoticed.
    const folder = join(sysRoot, 'class/hidraw', basename(devNode), 'device');
    const reportBytes = await readReportBytes(folder, devNode);
    const reportIntervalMs = await readIntervalMs(folder);
    const pipe = new NodeHidPipe(device, { name: devNode, reportBytes, reportIntervalMs });
    await pipe.started;
    return pipe;
  } catch (error) {
    await device.close().catch(() => undefined);
    throw error;
  }
}

/**
 * Opens nothing. Errors: `camera.stranger` for a hidraw node that is anything but vendor-defined, `link.closed`,
 * `wire.malformed`.
 */
export async function expectVendorDefined(devNode: string, { sysRoot = '/sys' } = {}): Promise<void> {
  await readDescriptor(join(sysRoot, 'class/hidraw', basename(devNode), 'device'), devNode);
}

async function openNode(devNode: string): Promise<HIDAsync> {
  try {
    await access(devNode, constants.R_OK | constants.W_OK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new DockError(code === 'ENOENT' ? 'link.closed' : 'usb.access-denied', devNode, { cause });
  }
  try {
    return await HIDAsync.open(devNode);
  } catch (cause) {
    throw new DockError('link.open-failed', devNode, { cause });
  }
}

/** What a node reports, once it is known to be vendor-defined. */
async function readDescriptor(folder: string, devNode: string): Promise<ReportDescriptor> {
  const bytes = await readFile(join(folder, 'report_descriptor')).catch((cause: unknown) => {
    throw new DockError('link.closed', devNode, { cause });
  });
  const descriptor = parseReportDescriptor(bytes);
  const { applications } = descriptor;
  const other = applications.find(({ usagePage }) => usagePage < firstVendorPage);
  if (other) {
    throw new DockError('camera.stranger', `${devNode} is HID page ${other.usagePage} usage ${other.usage}`);
  }
  if (applications.length === 0) throw new DockError('camera.stranger', `${devNode} does not say what it is`);
  return descriptor;
}

/** The output report size that the descriptor states, once it is known to be one of ours. */
async function readReportBytes(folder: string, devNode: string): Promise<number> {
  const { hasReportIds, inputBytes, outputBytes } = await readDescriptor(folder, devNode);
  const isSizeUsable = [inputBytes, outputBytes].every(
    (size) => size >= hidReportSize.leastBytes && size <= hidReportSize.mostBytes,
  );
  if (hasReportIds || !isSizeUsable) {
    const ids = hasReportIds ? 'with report ids, ' : '';
    const detail = `${devNode} has reports ${ids}of ${inputBytes} bytes in and ${outputBytes} bytes out`;
    throw new DockError('camera.unknown-model', detail);
  }
  return outputBytes;
}

/** The longest polling interval of the interface's endpoints, which sysfs words as `1ms` or `125us`. */
async function readIntervalMs(folder: string): Promise<number> {
  const usbInterface = await realpath(folder).then(dirname, () => folder);
  const entries = await readdir(usbInterface).catch(() => []);
  const texts = await Promise.all(
    entries
      .filter((name) => name.startsWith('ep_'))
      .map((name) => readFile(join(usbInterface, name, 'interval'), 'utf8').catch(() => '')),
  );
  const intervals = texts.map((text) => Number.parseInt(text, 10) / (text.includes('us') ? 1000 : 1));
  return Math.max(0, ...intervals.filter((ms) => ms > 0 && ms <= 1000)) || 1;
}

class NodeHidPipe implements HidPipe {
  readonly name: string;
  readonly reportBytes: number;
  readonly reportIntervalMs: number;
  readonly closed: Promise<void>;
  /** Resolves when the read thread has been started. */
  readonly started: Promise<void>;
  readonly #device: HIDAsync;
  readonly #resolveClosed: () => void;
  #receiver: ((report: Uint8Array) => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    device: HIDAsync,
    found: { readonly name: string; readonly reportBytes: number; readonly reportIntervalMs: number },
  ) {
    this.#device = device;
    this.name = found.name;
    this.reportBytes = found.reportBytes;
    this.reportIntervalMs = found.reportIntervalMs;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    // Unplugging is an error of the read thread. Without a listener it would end the process.
    device.on('error', () => void this.#close());
    device.on('data', (report: Uint8Array) => this.#receiver?.(report));
    // node-hid 3.4 starts its thread in the next tick, and throws there if it was closed meanwhile.
    this.started = new Promise((started) => setImmediate(started));
  }

  onReport(receiver: (report: Uint8Array) => void): void {
    this.#receiver = receiver;
  }

  async write(report: Uint8Array): Promise<void> {
    if (this.#closing) throw new DockError('link.closed', this.name);
    const bytes = Buffer.allocUnsafe(report.length + 1);
    bytes[0] = noReportId;
    bytes.set(report, 1);
    try {
      await this.#device.write(bytes);
    } catch (cause) {
      // How much of it arrived is unknown: the pipe is thrown away.
      void this.#close();
      throw new DockError('link.closed', this.name, { cause });
    }
  }

  /**
   * Ends the read thread, which looks up every 50 ms. Says that it is closed at once: a write in progress may hold
   * the device for seconds.
   */
  #close(): Promise<void> {
    this.#closing ??= this.#device.close().catch(() => undefined);
    this.#receiver = undefined;
    this.#resolveClosed();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
