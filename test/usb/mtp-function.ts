import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { GadgetFunction, GadgetOptions } from './gadget.ts';
import { run, until } from './lab.ts';

export interface MtpStorage {
  /** The folder it shows; the responder follows changes made in it. */
  readonly path: string;
  /** Its description in StorageInfo. */
  readonly name?: string;
  readonly isReadOnly?: boolean;
}

export interface MtpFunctionOptions {
  readonly storages: readonly MtpStorage[];
  /** In the MTP DeviceInfo; by default those of the USB descriptor. */
  readonly manufacturer?: string;
  readonly model?: string;
  readonly serialNumber?: string;
  readonly version?: string;
}

/** An MTP interface served by uMTP-Responder 1.3.10, a real responder with real faults (reference/mtp.md). */
export class MtpFunction implements GadgetFunction {
  readonly kind = 'ffs';
  readonly #options: MtpFunctionOptions;
  #folder = '';
  #process: ChildProcess | undefined;

  constructor(options: MtpFunctionOptions) {
    this.#options = options;
  }

  async configure(functionFolder: string, gadget: Required<GadgetOptions>): Promise<void> {
    this.#folder = await mkdtemp('/run/umtprd-');
    await mkdir(this.#mount);
    // FunctionFS is known by the name of its function instance.
    await run('mount', '-t', 'functionfs', basename(functionFolder).replace('ffs.', ''), this.#mount);
    await writeFile(join(this.#folder, 'umtprd.conf'), this.#configuration(gadget));
  }

  /** Starts a killed responder; returns when it has described its interface, so that the gadget may be plugged in. */
  async restartResponder(): Promise<void> {
    if (this.#process) throw new Error('the responder runs already');
    const log = await open(this.#log, 'a');
    const child = spawn('umtprd', ['-conf', join(this.#folder, 'umtprd.conf')], {
      stdio: ['ignore', log.fd, log.fd],
    });
    await log.close();
    this.#process = child;
    // The kernel makes the endpoint files once it has the descriptors; before that, the UDC refuses to be bound.
    await until('umtprd to describe its interface', async () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`umtprd ended: ${await this.responderLog()}`);
      return (await readdir(this.#mount)).includes('ep3');
    });
  }

  start(): Promise<void> {
    return this.restartResponder();
  }

  /** False once it was killed, or died by itself. */
  get isRunning(): boolean {
    return this.#process?.exitCode === null && this.#process.signalCode === null;
  }

  /** Kills the responder, and with it the camera on the bus: the kernel takes a gadget down that lost a function. */
  async killResponder(): Promise<void> {
    const child = this.#process;
    if (!child) return;
    this.#process = undefined;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    await until('FunctionFS to be closed', async () => !(await readdir(this.#mount)).includes('ep1'));
  }

  /** Stops it where it is: the camera stays on the bus and no longer answers. */
  freezeResponder(): void {
    this.#process?.kill('SIGSTOP');
  }

  /** Lets a frozen responder go on. */
  thawResponder(): void {
    this.#process?.kill('SIGCONT');
  }

  /** What the responder has said. */
  responderLog(): Promise<string> {
    return readFile(this.#log, 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#folder === '') return;
    await this.killResponder();
    await run('umount', this.#mount);
    await rm(this.#folder, { recursive: true });
    this.#folder = '';
  }

  get #mount(): string {
    return join(this.#folder, 'ffs');
  }

  get #log(): string {
    return join(this.#folder, 'log');
  }

  #configuration(gadget: Required<GadgetOptions>): string {
    const { storages, manufacturer, model, serialNumber, version } = this.#options;
    return [
      'loop_on_disconnect 1',
      ...storages.map(
        ({ path, name = 'internal', isReadOnly = false }) =>
          `storage "${path}" "${name}" "${isReadOnly ? 'ro' : 'rw'}"`,
      ),
      `manufacturer "${manufacturer ?? gadget.manufacturer}"`,
      `product "${model ?? gadget.product}"`,
      `serial "${serialNumber ?? gadget.serialNumber}"`,
      `firmware_version "${version ?? '1.0'}"`,
      'interface "MTP"',
      `usb_vendor_id 0x${gadget.vendorId.toString(16)}`,
      `usb_product_id 0x${gadget.productId.toString(16)}`,
      'usb_class 0x6',
      'usb_subclass 0x1',
      'usb_protocol 0x1',
      'usb_dev_version 0x3008',
      'usb_functionfs_mode 0x1',
      ...['dev_path|ep0', 'epin_path|ep1', 'epout_path|ep2', 'epint_path|ep3'].map((line) => {
        const [key, file] = line.split('|');
        return `usb_${key} "${join(this.#mount, file ?? '')}"`;
      }),
      'usb_max_packet_size 0x200',
      '',
    ].join('\n');
  }
}
