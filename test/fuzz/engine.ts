import { Coverage } from './coverage.ts';
import { Mutator } from './mutator.ts';
import type { FuzzTarget } from './target.ts';

export interface Finding {
  readonly target: string;
  readonly input: Uint8Array;
  readonly problem: string;
}

export interface FuzzResult {
  readonly target: string;
  readonly runs: number;
  readonly elapsedMs: number;
  /** Blocks of the agent's code that ran, and how many inputs are kept because they reached a new one. */
  readonly blocks: number;
  readonly corpus: number;
  readonly findings: readonly Finding[];
}

export interface FuzzOptions {
  readonly seed: number;
  readonly mostRuns: number;
  readonly forMs: number;
  /** Told before an input runs, so that one that never ends is known. */
  readonly onInput?: (input: Uint8Array) => void;
  readonly onProgress?: (runs: number) => void;
}

const mostFindings = 10;
const mostBytes = 4096;
const mostMs = 1000;

/**
 * Runs mutations of a target's corpus; an input that reaches code which none reached before joins the corpus. The
 * coverage is read once for a batch and searched for the inputs only where there is something new in it.
 */
export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzResult> {
  const words = (target.words ?? []).map((word) => (typeof word === 'string' ? Buffer.from(word) : word));
  const mutator = new Mutator(options.seed, { words, mostBytes: target.mostBytes ?? mostBytes });
  const batchRuns = target.isSlow ? 20 : 400;
  const corpus = [...target.seeds];
  const findings = new Map<string, Finding>();
  const startedMs = performance.now();
  let runs = 0;
  const runOne = async (input: Uint8Array): Promise<void> => {
    runs++;
    options.onInput?.(input);
    const problem = await problemOf(target, input);
    if (problem === undefined) return;
    const kind = problem.replace(/\d+/g, '0').slice(0, 120);
    if (!findings.has(kind)) findings.set(kind, { target: target.name, input, problem });
  };
  using coverage = new Coverage();
  await search(corpus.slice(), { coverage, runOne, keep: () => undefined });
  const isOver = (): boolean =>
    runs >= options.mostRuns ||
    performance.now() - startedMs >= options.forMs ||
    findings.size >= mostFindings;
  while (!isOver()) {
    const left = Math.min(batchRuns, options.mostRuns - runs);
    const batch = Array.from({ length: left }, () => mutator.next(corpus));
    await search(batch, { coverage, runOne, keep: (input) => corpus.push(Uint8Array.from(input)) });
    options.onProgress?.(runs);
  }
  return {
    target: target.name,
    runs,
    elapsedMs: performance.now() - startedMs,
    blocks: coverage.blocks,
    corpus: corpus.length,
    findings: [...findings.values()],
  };
}

/** Runs all, and again by halves while they reach something new, down to the single inputs that do. */
async function search(
  batch: readonly Uint8Array[],
  parts: {
    coverage: Coverage;
    runOne: (input: Uint8Array) => Promise<void>;
    keep: (input: Uint8Array) => void;
  },
): Promise<void> {
  const { coverage, runOne, keep } = parts;
  for (const input of batch) await runOne(input);
  const reached = coverage.take();
  if (!reached.isNew) return;
  const [only] = batch;
  if (batch.length === 1 && only) {
    keep(only);
  } else {
    const middle = batch.length >> 1;
    await search(batch.slice(0, middle), parts);
    await search(batch.slice(middle), parts);
  }
  reached.keep();
}

/** What is wrong with how a target takes an input: undefined when nothing is. */
export async function problemOf(target: FuzzTarget, input: Uint8Array): Promise<string | undefined> {
  const limitMs = target.mostMs ?? mostMs;
  const timed = async (): Promise<number> => {
    const startedMs = performance.now();
    const running = target.run(input);
    if (running) await running;
    return performance.now() - startedMs;
  };
  try {
    let tookMs = await timed();
    // A busy machine is slow now and then, a slow decoder always.
    for (let again = 0; again < 3 && tookMs > limitMs; again++) tookMs = Math.min(tookMs, await timed());
    if (tookMs > limitMs) return `took ${Math.round(tookMs)} ms`;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ''}` : String(error);
  }
  for (const key in {}) {
    delete (Object.prototype as Record<string, unknown>)[key];
    return `the prototype of all objects got ${key}`;
  }
  return undefined;
}
