import { mkdir, readdir, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attributeOf, portPathOfUdc, until, usbDevices } from './lab.ts';

/** What the device descriptor says, and which port it is plugged into. */
export interface GadgetOptions {
  /** Index of the dummy controller, 0…11: the "port". Two gadgets may share it, one plugged at a time. */
  readonly udc: number;
  readonly vendorId?: number;
  readonly productId?: number;
  readonly manufacturer?: string;
  readonly product?: string;
  /** Empty for a device without one. */
  readonly serialNumber?: string;
  /** What the configuration asks for. */
  readonly maxPowerMa?: number;
}

/** One USB function of a gadget; made by the functions named `…Function`, owned by the gadget it is given to. */
export interface GadgetFunction extends AsyncDisposable {
  /** The kernel's name of the function driver. */
  readonly kind: 'ffs' | 'hid' | 'acm' | 'mass_storage';
  /** Sets the attributes of the function's new folder in configfs. */
  configure(folder: string, gadget: Required<GadgetOptions>): Promise<void>;
  /** Starts what must run before the gadget may be plugged in. */
  start?(): Promise<void>;
  /** Removes what was made in the folder, before it is removed. */
  clear?(folder: string): Promise<void>;
}

const configfs = '/sys/kernel/config/usb_gadget';
let created = 0;

/** A simulated USB device of one configuration. Made unplugged; disposing of it unplugs it and removes every trace. */
export class Gadget implements AsyncDisposable {
  /** Where the host sees it. */
  readonly portPath: string;
  readonly options: Required<GadgetOptions>;
  readonly #name: string;
  readonly #functions: readonly GadgetFunction[];

  protected constructor(options: GadgetOptions, portPath: string, functions: readonly GadgetFunction[]) {
    this.#name = `lab${(created += 1)}`;
    this.portPath = portPath;
    this.options = withDefaults(options);
    this.#functions = functions;
  }

  /** A device of these functions, interfaces in the order given. */
  static async create(options: GadgetOptions, ...functions: GadgetFunction[]): Promise<Gadget> {
    return new Gadget(options, await portPathOfUdc(options.udc), functions).build();
  }

  /** Its folder in configfs. */
  get folder(): string {
    return join(configfs, this.#name);
  }

  /** Plugs it in; returns when the host has given it an address. Drivers bind some 10 ms to 1 s later. */
  async plug({ timeoutMs = 30_000 } = {}): Promise<void> {
    await writeFile(join(this.folder, 'UDC'), `dummy_udc.${this.options.udc}`);
    await until(`${this.#name} on ${this.portPath}`, () => this.isOnBus(), { timeoutMs });
  }

  /** Pulls it out; returns when the host has noticed. Harmless when it is out already. */
  async unplug(): Promise<void> {
    if (await attributeOf(this.folder, 'UDC')) await writeFile(join(this.folder, 'UDC'), '\n');
    await until(`${this.portPath} to be empty`, async () => !(await this.isOnBus()));
  }

  /** Comes back on the same port as another device, as a camera does that is switched to storage mode. */
  async plugAs(other: Gadget): Promise<void> {
    if (other.options.udc !== this.options.udc) throw new Error('the other gadget is for another port');
    await this.unplug();
    await other.plug();
  }

  /** Whether the host sees a device on this port. */
  async isOnBus(): Promise<boolean> {
    return (await attributeOf(join(usbDevices, this.portPath), 'devnum')) !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (await attributeOf(this.folder, 'UDC')) await this.unplug();
    for (const made of this.#functions) await made[Symbol.asyncDispose]();
    await this.#remove();
  }

  protected async build(): Promise<this> {
    try {
      await this.#describe();
      for (const [index, made] of this.#functions.entries()) {
        const name = `${made.kind}.${this.#name}f${index}`;
        await mkdir(join(this.folder, 'functions', name));
        await made.configure(join(this.folder, 'functions', name), this.options);
        await symlink(join(this.folder, 'functions', name), join(this.folder, 'configs/c.1', name));
      }
      for (const made of this.#functions) await made.start?.();
      return this;
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #describe(): Promise<void> {
    const { vendorId, productId, manufacturer, product, serialNumber, maxPowerMa } = this.options;
    await mkdir(join(this.folder, 'strings/0x409'), { recursive: true });
    await mkdir(join(this.folder, 'configs/c.1/strings/0x409'), { recursive: true });
    const attributes = {
      idVendor: `0x${vendorId.toString(16)}`,
      idProduct: `0x${productId.toString(16)}`,
      bcdDevice: '0x0100',
      'configs/c.1/MaxPower': `${maxPowerMa}`,
      'strings/0x409/manufacturer': manufacturer,
      'strings/0x409/product': product,
      ...(serialNumber && { 'strings/0x409/serialnumber': serialNumber }),
    };
    for (const [name, value] of Object.entries(attributes)) await writeFile(join(this.folder, name), value);
  }

  /** configfs wants its folders taken down in the reverse of the order they depend on one another. */
  async #remove(): Promise<void> {
    const list = (path: string): Promise<string[]> => readdir(join(this.folder, path)).catch(() => []);
    for (const name of await list('configs/c.1')) {
      if (/^(ffs|hid|acm|mass_storage)\./.test(name)) await rm(join(this.folder, 'configs/c.1', name));
    }
    const gone = (path: string): Promise<void> => rmdir(join(this.folder, path)).catch(ignoreAbsent);
    await gone('configs/c.1/strings/0x409');
    await gone('configs/c.1');
    for (const [index, made] of this.#functions.entries()) {
      const folder = join(this.folder, 'functions', `${made.kind}.${this.#name}f${index}`);
      await made.clear?.(folder);
      await rmdir(folder).catch(ignoreAbsent);
    }
    await gone('strings/0x409');
    await gone('.');
  }
}

/** Functions may have been disposed of before, or never made. */
function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

function withDefaults(options: GadgetOptions): Required<GadgetOptions> {
  return {
    vendorId: 0x1d6b,
    productId: 0x0104,
    manufacturer: 'Lab',
    product: 'Lab camera',
    serialNumber: `LAB${String(options.udc).padStart(4, '0')}`,
    maxPowerMa: 500,
    ...options,
  };
}
