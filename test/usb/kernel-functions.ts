import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GadgetFunction } from './gadget.ts';

/** A logical unit of a mass-storage interface: a slot, with or without a card in it. */
export interface LogicalUnit {
  /** Image file, see disk-image.ts; absent for a slot without a medium. */
  readonly image?: string;
  readonly isReadOnly?: boolean;
  /** True unless told: only a removable unit may be empty. */
  readonly isRemovable?: boolean;
}

/** Bulk-only mass storage (08/06/50), one disk for each unit. */
export class MassStorageFunction implements GadgetFunction {
  readonly kind = 'mass_storage';
  readonly #units: readonly LogicalUnit[];
  #folder = '';

  constructor(units: readonly LogicalUnit[]) {
    this.#units = units;
  }

  async configure(folder: string): Promise<void> {
    this.#folder = folder;
    for (const [index, unit] of this.#units.entries()) {
      const at = join(folder, `lun.${index}`);
      if (index > 0) await mkdir(at);
      await writeFile(join(at, 'removable'), unit.isRemovable === false ? '0' : '1');
      await writeFile(join(at, 'ro'), unit.isReadOnly ? '1' : '0');
      if (unit.image !== undefined) await writeFile(join(at, 'file'), unit.image);
    }
  }

  /** Puts a medium into an empty slot; the host notices within its polling interval of 2 s. */
  async insert(image: string, { unit = 0 } = {}): Promise<void> {
    await writeFile(join(this.#folder, `lun.${unit}`, 'file'), image);
  }

  /** Takes the medium out; rejects with EBUSY while the host has locked it in by mounting. */
  async eject({ unit = 0 } = {}): Promise<void> {
    await writeFile(join(this.#folder, `lun.${unit}`, 'file'), '\n');
  }

  async clear(folder: string): Promise<void> {
    for (const index of this.#units.keys()) {
      if (index > 0) await rmdir(join(folder, `lun.${index}`)).catch(() => undefined);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

export interface HidFunctionOptions {
  readonly reportDescriptor: Uint8Array;
  /** Longest report in bytes, its id included. */
  readonly reportLength: number;
  readonly subclass?: number;
  readonly protocol?: number;
}

/** A HID interface; the kernel has room for four at a time. */
export class HidFunction implements GadgetFunction {
  readonly kind = 'hid';
  readonly #options: HidFunctionOptions;
  #node = '';

  constructor(options: HidFunctionOptions) {
    this.#options = options;
  }

  /** The device's side, `/dev/hidgN`: reports are read and written whole. There only while it is plugged in. */
  get node(): string {
    return this.#node;
  }

  async configure(folder: string): Promise<void> {
    const { reportDescriptor, reportLength, subclass = 0, protocol = 0 } = this.#options;
    await writeFile(join(folder, 'subclass'), `${subclass}`);
    await writeFile(join(folder, 'protocol'), `${protocol}`);
    await writeFile(join(folder, 'report_length'), `${reportLength}`);
    await writeFile(join(folder, 'report_desc'), reportDescriptor);
    const [, minor] = (await readFile(join(folder, 'dev'), 'utf8')).trim().split(':');
    this.#node = `/dev/hidg${minor}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Boot keyboard of the HID specification, appendix B.1, without the lamps. */
const keyboardDescriptor = Buffer.from(
  '05010906a1010507' +
    '19e029e715002501' +
    '7501950881029501' +
    '7508810195067508' +
    '1500256505071900' +
    '29658100c0',
  'hex',
);

/** A keyboard (03/01/01), which nobody wants to find in a camera. */
export class KeyboardFunction extends HidFunction {
  constructor() {
    super({ reportDescriptor: keyboardDescriptor, reportLength: 8, subclass: 1, protocol: 1 });
  }

  /** Presses and releases a key, by its usage of page 7 (0x04 is A). */
  async press(usage: number): Promise<void> {
    await writeFile(this.node, Uint8Array.of(0, 0, usage, 0, 0, 0, 0, 0));
    await writeFile(this.node, new Uint8Array(8));
  }
}

/** A serial line (CDC-ACM): a control and a data interface; the kernel has room for a few at a time. */
export class AcmFunction implements GadgetFunction {
  readonly kind = 'acm';
  #node = '';

  /** The device's side, `/dev/ttyGSn`; set it raw before use. */
  get node(): string {
    return this.#node;
  }

  async configure(folder: string): Promise<void> {
    this.#node = `/dev/ttyGS${(await readFile(join(folder, 'port_num'), 'utf8')).trim()}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
