import { DockError, hasCode } from '../../protocol/errors.ts';
import type { Clock } from '../clock.ts';
import { DiskLane } from './disk-lane.ts';
import type { StorageMount } from './storage-mount.ts';

/** Work that failed is tried so often, while the device is there. */
const attempts = 3;

/**
 * Work on the disks of one camera. A failure is explained by the kernel first and by its error second: after an
 * unplug, files are missing.
 */
export class StorageAccess {
  readonly #mounts: readonly StorageMount[];
  readonly #lane: DiskLane;
  /** Aborts as soon as one of the disks is gone: nothing waits for a device that is not there. */
  readonly #lost = new AbortController();

  /** `timeoutMs`: a disk that does nothing for so long hangs. */
  constructor(mounts: readonly StorageMount[], clock: Clock, { timeoutMs }: { timeoutMs: number }) {
    this.#mounts = mounts;
    this.#lane = new DiskLane(clock, { timeoutMs });
    for (const mount of mounts) void mount.closed.then(() => this.#lose(mount));
  }

  /**
   * Work that changes nothing, so that it may be repeated. Errors: `recording.vanished` for what is not there,
   * `recording.stalled`, `link.closed`, `wire.timeout` when not even the kernel answers, and DockErrors of the work.
   */
  async onDisk<Result>(
    mount: StorageMount,
    what: string,
    signal: AbortSignal,
    work: () => Promise<Result>,
  ): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        this.#lost.signal.throwIfAborted();
        return await this.#orLost(this.#lane.run(what, signal, work));
      } catch (error) {
        signal.throwIfAborted();
        const code = systemCode(error);
        if (code === undefined && !hasCode(error, 'wire.timeout')) throw error;
        await this.expectPresent(signal);
        if (code === 'EIO' && attempt < attempts) continue;
        const isMissing = code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENXIO';
        throw new DockError(
          isMissing ? 'recording.vanished' : 'recording.stalled',
          `${what}: ${code ?? 'the disk hangs'} on ${mount.name}`,
          { cause: error },
        );
      }
    }
  }

  /** Errors: `link.closed`, for good; `wire.timeout`. */
  async expectPresent(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    for (const mount of this.#mounts) {
      this.#lost.signal.throwIfAborted();
      const looking = this.#lane.inTime(`look at ${mount.name}`, signal, mount.isPresent());
      if (!(await this.#orLost(looking))) this.#lose(mount);
    }
    this.#lost.signal.throwIfAborted();
  }

  /** Commands that the disk has failed so far; undefined where nobody counts them. Asks the kernel alone. */
  async errorCount(mount: StorageMount, signal: AbortSignal): Promise<number | undefined> {
    if (!mount.errorCount) return undefined;
    return this.#orLost(this.#lane.inTime(`errors of ${mount.name}`, signal, mount.errorCount()));
  }

  #lose({ name }: StorageMount): void {
    this.#lost.abort(new DockError('link.closed', `${name} is gone`));
  }

  async #orLost<Result>(running: Promise<Result>): Promise<Result> {
    const { signal } = this.#lost;
    const { promise, reject } = Promise.withResolvers<never>();
    const onLost = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onLost, { once: true });
    try {
      return await Promise.race([running, promise]);
    } finally {
      signal.removeEventListener('abort', onLost);
    }
  }

  /** Work that is not repeated; its failures are the caller's to explain. Errors: `wire.timeout`, `link.closed`. */
  once<Result>(what: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    return this.#orLost(this.#lane.run(what, signal, work));
  }

  /** Runs when the disk is free again, and nobody waits for it. */
  afterwards(work: () => Promise<unknown>): void {
    this.#lane.afterwards(work);
  }
}

/** The code of a failed system call, such as `ENOENT`; undefined for anything else. */
export function systemCode(thrown: unknown): string | undefined {
  if (thrown instanceof DockError || !(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' && /^E[A-Z0-9]+$/.test(thrown.code) ? thrown.code : undefined;
}
