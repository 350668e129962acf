import { DockError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { Disk, DiskFile } from '../../agent/vault/disk.ts';

export type DiskOperation = Exclude<keyof Disk, symbol> | 'append' | 'read' | 'truncate' | 'sync' | 'close';

/** One call on the disk; `n` counts from 1. */
export interface DiskStep {
  readonly n: number;
  readonly operation: DiskOperation;
  readonly path: string;
}

/** What a FaultDisk does besides passing on. A hook that throws makes the operation fail. */
export interface DiskPlan {
  /** Before anything has happened. */
  readonly before?: (step: DiskStep) => void;
  /** After it has happened: a failure whose effect is there all the same. */
  readonly after?: (step: DiskStep) => void;
  /** The bytes that reach the disk instead of those appended: damaged, or fewer. */
  readonly onAppend?: (bytes: Uint8Array, step: DiskStep) => Uint8Array;
  readonly freeBytes?: () => number | Promise<number>;
}

/** A real disk with faults on demand. It numbers and records every operation, and knows what was left open. */
export class FaultDisk implements Disk {
  readonly steps: DiskStep[] = [];
  plan: DiskPlan;
  openFiles = 0;
  readonly #disk: Disk;

  constructor(disk: Disk, plan: DiskPlan = {}) {
    this.#disk = disk;
    this.plan = plan;
  }

  makeFolder(path: string): Promise<void> {
    return this.step('makeFolder', path, () => this.#disk.makeFolder(path));
  }

  freeBytes(path: string): Promise<number> {
    const stated = this.plan.freeBytes;
    return this.step('freeBytes', path, async () =>
      stated ? await stated() : await this.#disk.freeBytes(path),
    );
  }

  async open(path: string, mode: 'create' | 'extend' | 'read'): Promise<DiskFile> {
    let file: DiskFile | undefined;
    try {
      await this.step('open', path, async () => {
        file = await this.#disk.open(path, mode);
      });
      if (!file) throw new Error('not opened');
      this.openFiles++;
      return new FaultFile(this, file, path);
    } catch (error) {
      await file?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  size(path: string): Promise<number | undefined> {
    return this.step('size', path, () => this.#disk.size(path));
  }

  link(existing: string, name: string): Promise<void> {
    return this.step('link', name, () => this.#disk.link(existing, name));
  }

  remove(path: string): Promise<void> {
    return this.step('remove', path, () => this.#disk.remove(path));
  }

  syncFolder(path: string): Promise<void> {
    return this.step('syncFolder', path, () => this.#disk.syncFolder(path));
  }

  dropCache(path: string): Promise<void> {
    return this.step('dropCache', path, () => this.#disk.dropCache(path));
  }

  async *files(folder: string): AsyncGenerator<string> {
    const found = await this.step('files', folder, () => Array.fromAsync(this.#disk.files(folder)));
    yield* found;
  }

  async step<T>(
    operation: DiskOperation,
    path: string,
    work: (step: DiskStep) => T | PromiseLike<T>,
  ): Promise<T> {
    const step = { n: this.steps.length + 1, operation, path };
    this.steps.push(step);
    this.plan.before?.(step);
    const result = await work(step);
    this.plan.after?.(step);
    return result;
  }
}

class FaultFile implements DiskFile {
  readonly #disk: FaultDisk;
  readonly #file: DiskFile;
  readonly #path: string;

  constructor(disk: FaultDisk, file: DiskFile, path: string) {
    this.#disk = disk;
    this.#file = file;
    this.#path = path;
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#disk.step('append', this.#path, (step) =>
      this.#file.append(this.#disk.plan.onAppend?.(bytes, step) ?? bytes),
    );
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return this.#disk.step('read', this.#path, () => this.#file.read(buffer, position));
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#disk.step('truncate', this.#path, () => this.#file.truncate(sizeBytes));
  }

  sync(): Promise<void> {
    return this.#disk.step('sync', this.#path, () => this.#file.sync());
  }

  /** A close that fails has closed all the same, as on Linux. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disk.openFiles--;
    await this.#file[Symbol.asyncDispose]();
    await this.#disk.step('close', this.#path, () => undefined);
  }
}

/**
 * Fails the n-th operation with a code. `effect` says what had happened of it: nothing, all of it, or, of an
 * append, the first half.
 */
export class NthFault implements DiskPlan {
  readonly #n: number;
  readonly #code: ErrorCode;
  readonly #effect: 'none' | 'half' | 'all';
  fired: DiskStep | undefined;

  constructor(n: number, code: ErrorCode, effect: 'none' | 'half' | 'all' = 'none') {
    this.#n = n;
    this.#code = code;
    this.#effect = effect;
  }

  readonly before = (step: DiskStep): void => {
    if (this.#effect === 'none') this.#fail(step);
  };

  readonly after = (step: DiskStep): void => {
    if (this.#effect !== 'none') this.#fail(step);
  };

  readonly onAppend = (bytes: Uint8Array, step: DiskStep): Uint8Array =>
    step.n === this.#n && this.#effect === 'half' ? bytes.subarray(0, bytes.length / 2) : bytes;

  #fail(step: DiskStep): void {
    if (step.n !== this.#n) return;
    this.fired = step;
    throw new DockError(this.#code, `injected at ${step.n} ${step.operation}`);
  }
}
