import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What the kernel allows all programs together when it does not say; its default since Linux 3.3. */
const usualLimitMb = 16;
const bytesPerMb = 1024 * 1024;
/** Others use usbfs too, and each transfer costs some bytes on top. */
const usableShare = 0.8;
const longestReadBytes = 1024 * 1024;
/** Below this a read costs more in round trips than it saves; the limit is set too low then. */
const shortestReadBytes = 16 * 1024;

/**
 * The kernel's memory for USB transfers of programs, in bytes: `usbfs_memory_mb`. Counts buffers in flight of all
 * programs and devices together; a transfer beyond it fails with ENOMEM. Infinity for 0, which means no limit.
 */
export async function readUsbMemoryLimit({ sysRoot = '/sys' } = {}): Promise<number> {
  const path = join(sysRoot, 'module/usbcore/parameters/usbfs_memory_mb');
  const text = await readFile(path, 'utf8').catch(() => '');
  const megabytes = /^\d+$/.test(text.trim()) ? Number(text) : usualLimitMb;
  return megabytes === 0 ? Infinity : megabytes * bytesPerMb;
}

interface Waiting {
  readonly bytes: number;
  readonly start: () => void;
}

/**
 * Shares the kernel's transfer memory among all pipes of this process. The more pipes are open the shorter their
 * reads, so that each can have one in flight; whoever still finds no room waits in line, first come first served.
 */
export class UsbBudget {
  readonly #usableBytes: number;
  readonly #waiting: Waiting[] = [];
  #inFlightBytes = 0;
  #pipes = 0;

  constructor(limitBytes: number) {
    this.#usableBytes = Math.max(Math.floor(limitBytes * usableShare), shortestReadBytes);
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** What one read may ask for with the pipes open now. */
  get readBytes(): number {
    return this.readBytesFor(this.#pipes);
  }

  /** 1 MiB, halved until that many pipes can each have one read in flight. */
  readBytesFor(pipes: number): number {
    let bytes = longestReadBytes;
    while (bytes > shortestReadBytes && bytes * Math.max(pipes, 1) > this.#usableBytes) bytes /= 2;
    return bytes;
  }

  /** Counts a pipe in; the function given back counts it out again. */
  join(): () => void {
    this.#pipes++;
    return once(() => this.#pipes--);
  }

  /**
   * Waits for room for one transfer; the function given back returns the room. A transfer larger than everything
   * passes when it is alone. Rejects with the signal's reason.
   */
  async acquire(bytes: number, signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#waiting.length > 0 || !this.#fits(bytes)) await this.#wait(bytes, signal);
    else this.#inFlightBytes += bytes;
    return once(() => {
      this.#inFlightBytes -= bytes;
      this.#serve();
    });
  }

  #wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      reject(signal?.reason);
      this.#serve();
    };
    const waiting: Waiting = {
      bytes,
      start: () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      },
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#waiting.push(waiting);
    return promise;
  }

  /** In order: a large one at the head holds the others back, or it would never have its turn. */
  #serve(): void {
    for (let next = this.#waiting[0]; next && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#inFlightBytes += next.bytes;
      next.start();
    }
  }

  #fits(bytes: number): boolean {
    return this.#inFlightBytes === 0 || this.#inFlightBytes + bytes <= this.#usableBytes;
  }
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) action();
    isDone = true;
  };
}
