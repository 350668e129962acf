import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { SeedReport } from './worker.ts';

/** A simulation takes a tenth of a second; one that takes so long never ends. */
const patienceMs = 120_000;

/**
 * Runs seeds in `count` processes until `nextSeed` gives none. A seed at which its process hangs or dies has failed;
 * another process takes its place.
 */
export async function runSeeds(
  count: number,
  nextSeed: () => number | undefined,
  onReport: (report: SeedReport) => void,
): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => runLane(nextSeed, onReport)));
}

async function runLane(
  nextSeed: () => number | undefined,
  onReport: (report: SeedReport) => void,
): Promise<void> {
  let worker: Worker | undefined;
  for (let seed = nextSeed(); seed !== undefined; seed = nextSeed()) {
    worker ??= new Worker();
    const report = await worker.run(seed);
    onReport(typeof report === 'string' ? failed(seed, report) : report);
    if (typeof report !== 'string') continue;
    worker.end();
    worker = undefined;
  }
  worker?.end();
}

function failed(seed: number, why: string): SeedReport {
  return { seed, isPassed: false, violations: [why], counts: {}, virtualMs: 0 };
}

class Worker {
  readonly #child: ChildProcess;
  readonly #ready: Promise<unknown>;

  constructor() {
    // Errors are expected by the thousand, and nobody reads where they come from.
    const execArgv = ['--stack-trace-limit=0'];
    this.#child = fork(join(import.meta.dirname, 'worker.ts'), { execArgv });
    this.#ready = new Promise((resolve) => {
      this.#child.once('message', resolve);
      this.#child.once('exit', resolve);
    });
  }

  /** The report, or why there is none. */
  async run(seed: number): Promise<SeedReport | string> {
    await this.#ready;
    return new Promise((resolve) => {
      const child = this.#child;
      const impatience = setTimeout(() => settle('the simulation hangs'), patienceMs);
      const onMessage = (report: SeedReport): void => settle(report);
      const onExit = (): void => settle(`the process ended with ${child.exitCode ?? child.signalCode}`);
      const settle = (result: SeedReport | string): void => {
        clearTimeout(impatience);
        child.off('message', onMessage);
        child.off('exit', onExit);
        resolve(result);
      };
      child.once('message', onMessage);
      child.once('exit', onExit);
      if (child.exitCode !== null || child.signalCode !== null) onExit();
      else child.send(seed);
    });
  }

  end(): void {
    // One that hangs hears nothing else.
    this.#child.kill('SIGKILL');
  }
}
