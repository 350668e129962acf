import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../dock/host/system-clock.ts';

export type FileSystem = 'ext4' | 'xfs';

const missing = missingForLoops();
/** Why file systems cannot be mounted here, or an empty string. Said in the names of tests, which are skipped then. */
export const cannotMount = missing ? ` (cannot run here: ${missing})` : '';

/** A file system of its own on a loop device, which can lose its power. Dispose of it. */
export class LoopVolume implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'dock-volume-'));
  readonly #image = join(this.#folder, 'image');
  readonly mountPoint = join(this.#folder, 'mounted');

  constructor(fileSystem: FileSystem, sizeMiB: number) {
    writeFileSync(this.#image, '');
    truncateSync(this.#image, sizeMiB * 2 ** 20);
    mkdirSync(this.mountPoint);
    run(`mkfs.${fileSystem}`, '-q', this.#image);
    this.mount();
  }

  mount(): void {
    run('mount', '-o', 'loop', this.#image, this.mountPoint);
  }

  /** What was not synced is gone: FS_IOC_SHUTDOWN without writing the log. Ends with `unmount` and `mount`. */
  cut(): void {
    run('xfs_io', '-x', '-c', 'shutdown', this.mountPoint);
  }

  /** Waits for who is still busy there, such as a child of a killed agent. */
  async unmount(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        return run('umount', this.mountPoint);
      } catch (error) {
        if (tries === 100) throw error;
        await systemClock.sleep(50);
      }
    }
  }

  /** Every write waits until `thaw`, as on a disk that has gone away for a while. */
  freeze(): void {
    run('fsfreeze', '--freeze', this.mountPoint);
  }

  thaw(): void {
    run('fsfreeze', '--unfreeze', this.mountPoint);
  }

  /** As ext4 does by itself after an error (errors=remount-ro), also with files open for writing. */
  makeReadOnly(): void {
    run('mount', '-o', 'remount,abort', this.mountPoint);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unmount();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function missingForLoops(): string {
  if (process.getuid?.() !== 0) return 'needs root';
  const absent = ['mkfs.ext4', 'mkfs.xfs', 'xfs_io', 'fsfreeze', 'mount'].filter((tool) => {
    try {
      return run('sh', '-c', `command -v ${tool}`);
    } catch {
      return true;
    }
  });
  if (absent.length > 0) return `no ${absent.join(', ')}; apt-get install e2fsprogs xfsprogs util-linux`;
  try {
    run('losetup', '--find');
    return '';
  } catch {
    return 'no loop devices';
  }
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000 });
}
