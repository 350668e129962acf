import type { Clock } from '../../dock/clock.ts';
import type { Disk, DiskFile } from './disk.ts';

/** A disk at work answers in far less, also when the kernel writes back all at once; people start to wonder. */
const slowAfterMs = 5000;

interface Wait {
  readonly sinceMs: number;
}

/**
 * Says when somebody has waited for the disk for long, and when that is over; everything else passes through. A disk
 * that lets people wait has not failed: nothing is given up, whoever waits goes on as soon as it answers.
 */
export class WatchedDisk implements Disk {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #onChange: (isSlow: boolean, waitedMs: number) => void;
  /** In the order in which they began. */
  readonly #waits = new Set<Wait>();
  readonly #impatient = new Set<() => void>();
  #isWatching = false;
  #slowSinceMs: number | undefined;

  /** `onChange` must only enqueue; it is told how long the disk has let somebody wait. */
  constructor(disk: Disk, clock: Clock, onChange: (isSlow: boolean, waitedMs: number) => void) {
    this.#disk = disk;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get isSlow(): boolean {
    return this.#slowSinceMs !== undefined;
  }

  makeFolder(path: string): Promise<void> {
    return this.during(() => this.#disk.makeFolder(path));
  }

  freeBytes(path: string): Promise<number> {
    return this.during(() => this.#disk.freeBytes(path));
  }

  async open(path: string, mode: 'create' | 'extend' | 'read'): Promise<DiskFile> {
    return new WatchedFile(this, await this.during(() => this.#disk.open(path, mode)));
  }

  size(path: string): Promise<number | undefined> {
    return this.during(() => this.#disk.size(path));
  }

  link(existing: string, name: string): Promise<void> {
    return this.during(() => this.#disk.link(existing, name));
  }

  remove(path: string): Promise<void> {
    return this.during(() => this.#disk.remove(path));
  }

  syncFolder(path: string): Promise<void> {
    return this.during(() => this.#disk.syncFolder(path));
  }

  dropCache(path: string): Promise<void> {
    return this.during(() => this.#disk.dropCache(path));
  }

  async *files(folder: string): AsyncGenerator<string> {
    const files = this.#disk.files(folder)[Symbol.asyncIterator]();
    try {
      for (let next = await this.during(() => files.next()); next.done !== true;) {
        yield next.value;
        next = await this.during(() => files.next());
      }
    } finally {
      await files.return?.();
    }
  }

  /**
   * For those who would rather know nothing than wait: undefined at once while the disk is slow, and as soon as it
   * is. Work that was begun goes on, and what becomes of it then is nobody's concern.
   */
  async unlessSlow<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.isSlow) return undefined;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const giveUp = (): void => resolve(undefined);
    this.#impatient.add(giveUp);
    try {
      return await Promise.race([work(), promise]);
    } finally {
      this.#impatient.delete(giveUp);
    }
  }

  async during<T>(work: () => PromiseLike<T>): Promise<T> {
    const wait: Wait = { sinceMs: this.#clock.monotonic() };
    this.#waits.add(wait);
    if (!this.#isWatching) void this.#watch();
    try {
      return await work();
    } finally {
      this.#waits.delete(wait);
      this.#notice();
    }
  }

  /** One timer for all, and none while nobody waits. */
  async #watch(): Promise<void> {
    this.#isWatching = true;
    for (let oldest = this.#oldest(); oldest; oldest = this.#oldest()) {
      const waitedMs = this.#clock.monotonic() - oldest.sinceMs;
      // At least a moment: the rest of a difference may be too small to move the clock.
      await this.#clock.sleep(waitedMs < slowAfterMs ? Math.max(1, slowAfterMs - waitedMs) : slowAfterMs);
      this.#notice();
    }
    this.#isWatching = false;
  }

  #notice(): void {
    const oldest = this.#oldest();
    const nowMs = this.#clock.monotonic();
    if (oldest && nowMs - oldest.sinceMs >= slowAfterMs) {
      if (this.#slowSinceMs !== undefined) return;
      this.#slowSinceMs = oldest.sinceMs;
      for (const giveUp of this.#impatient) giveUp();
      this.#onChange(true, nowMs - oldest.sinceMs);
    } else if (this.#slowSinceMs !== undefined) {
      const waitedMs = nowMs - this.#slowSinceMs;
      this.#slowSinceMs = undefined;
      this.#onChange(false, waitedMs);
    }
  }

  #oldest(): Wait | undefined {
    const [oldest] = this.#waits;
    return oldest;
  }
}

class WatchedFile implements DiskFile {
  readonly #disk: WatchedDisk;
  readonly #file: DiskFile;

  constructor(disk: WatchedDisk, file: DiskFile) {
    this.#disk = disk;
    this.#file = file;
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#disk.during(() => this.#file.append(bytes));
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return this.#disk.during(() => this.#file.read(buffer, position));
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#disk.during(() => this.#file.truncate(sizeBytes));
  }

  sync(): Promise<void> {
    return this.#disk.during(() => this.#file.sync());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk.during(() => this.#file[Symbol.asyncDispose]());
  }
}
