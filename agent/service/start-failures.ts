import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const firstDelayMs = 10_000;
const longestDelayMs = 300_000;

/**
 * Counts starts that failed in a row, in a folder that a restart keeps and a stop clears (RuntimeDirectoryPreserve=
 * restart): the service manager of Debian 12 knows no growing delay, and a limit would make it give up for good.
 */
export class StartFailures {
  readonly #file: string | undefined;

  /** Without a folder nothing is counted. */
  constructor(folder: string | undefined) {
    this.#file = folder === undefined ? undefined : join(folder, 'failed-starts');
  }

  /** How long to wait before the process ends and is started again; not at all after the first failure. */
  failed(): number {
    if (this.#file === undefined) return 0;
    const before = this.#read(this.#file);
    try {
      writeFileSync(this.#file, String(before + 1));
    } catch {
      return firstDelayMs; // cannot count: steadily then
    }
    return before === 0 ? 0 : Math.min(firstDelayMs * 2 ** Math.min(before - 1, 30), longestDelayMs);
  }

  succeeded(): void {
    if (this.#file !== undefined) rmSync(this.#file, { force: true });
  }

  #read(file: string): number {
    try {
      const count = Number(readFileSync(file, 'utf8'));
      return Number.isSafeInteger(count) && count > 0 ? count : 0;
    } catch {
      return 0;
    }
  }
}
