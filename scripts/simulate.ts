/**
 * The whole agent in a simulated world, from seeds: see test/simulation. One seed tells its story; many count what
 * was reached and name the seeds that broke a promise.
 */
import { randomInt } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { logUpdateStderr } from 'log-update';
import { namedSeeds } from '../test/simulation/named-seeds.ts';
import { simulate } from '../test/simulation/simulation.ts';
import { runSeeds } from './simulate/pool.ts';
import type { SeedReport } from './simulate/worker.ts';

const usage = `npm run simulate -- [--seed N | --seeds FROM..TO] [--for SECONDS [--fresh-from N]] [--workers N] [--bail] [--json]

  --seed N          one simulation, told as a story
  --seeds FROM..TO  all seeds of a range, in a process for each processor
  --for SECONDS     fresh seeds for so long, after those of --seeds
  --fresh-from N    the first of the fresh seeds, instead of a random one
  --workers N       so many processes
  --bail            no further seed after one that broke a promise
  --json            one JSON object with everything at the end

Many seeds always begin with those that once found a bug (test/simulation/named-seeds.ts).
Ends with 1 when a promise was broken.

Examples:
  npm run simulate -- --seed 7
  npm run simulate -- --seeds 1..10000
  npm run simulate -- --seeds 1..1000 --for 240 --json
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      for: { type: 'string' },
      'fresh-from': { type: 'string' },
      workers: { type: 'string', default: String(availableParallelism()) },
      bail: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const isAsked = values.seed !== undefined || values.seeds !== undefined || values.for !== undefined;
  if (values.help || !isAsked) {
    process.stdout.write(usage);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const isPassed =
    values.seed === undefined
      ? await runMany({
          range: rangeOf(values.seeds ?? ''),
          forSeconds: values.for === undefined ? 0 : wholeNumber(values.for),
          freshFrom:
            values['fresh-from'] === undefined ? randomInt(2 ** 31) : wholeNumber(values['fresh-from']),
          workers: Math.max(1, wholeNumber(values.workers)),
          isBailing: values.bail,
          isJson: values.json,
        })
      : await tellOne(wholeNumber(values.seed), values.json);
  process.exitCode = isPassed ? 0 : 1;
}

async function tellOne(seed: number, isJson: boolean): Promise<boolean> {
  const verdict = await simulate(seed);
  if (isJson) process.stdout.write(`${JSON.stringify(verdict, undefined, 2)}\n`);
  else process.stdout.write(`${verdict.story.join('\n')}\nstory ${verdict.storyDigest}\n`);
  return verdict.isPassed;
}

interface ManyOptions {
  readonly range: { readonly from: number; readonly to: number };
  readonly forSeconds: number;
  readonly freshFrom: number;
  readonly workers: number;
  readonly isBailing: boolean;
  readonly isJson: boolean;
}

async function runMany({
  range,
  forSeconds,
  freshFrom,
  workers,
  isBailing,
  isJson,
}: ManyOptions): Promise<boolean> {
  const startedMs = performance.now();
  const seconds = (): number => (performance.now() - startedMs) / 1000;
  const seeds = seedsOf({ range, freshFrom, isFreshWanted: () => seconds() < forSeconds });
  const failures: SeedReport[] = [];
  const counts = new Map<string, number>();
  let done = 0;
  let virtualMs = 0;
  let toldSeconds = 0;
  await runSeeds(
    workers,
    () => (isBailing && failures.length > 0 ? undefined : seeds.next().value),
    (report) => {
      done++;
      virtualMs += report.virtualMs;
      if (!report.isPassed) failures.push(report);
      for (const [what, times] of Object.entries(report.counts))
        counts.set(what, (counts.get(what) ?? 0) + times);
      if (!report.isPassed)
        process.stderr.write(
          `${process.stderr.isTTY ? '\n' : ''}seed ${report.seed} FAILED: ${report.violations[0]}\n`,
        );
      const progress = `${done} seeds, ${failures.length} failed, ${Math.round(seconds())} s`;
      if (process.stderr.isTTY) logUpdateStderr(progress);
      else if (seconds() - toldSeconds >= 30) {
        toldSeconds = seconds();
        process.stderr.write(`${progress}\n`);
      }
    },
  );
  const summary = {
    seeds: done,
    passed: done - failures.length,
    failed: failures.map(({ seed, violations }) => ({ seed, violations })),
    ...(forSeconds > 0 && { freshFrom }),
    seconds: Math.round(seconds()),
    seedsPerSecond: Number((done / seconds()).toFixed(1)),
    virtualHours: Math.round(virtualMs / 3_600_000),
    counts: Object.fromEntries([...counts].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
  process.stdout.write(isJson ? `${JSON.stringify(summary, undefined, 2)}\n` : described(summary));
  return failures.length === 0;
}

/** Those that once found a bug, then the range, then fresh ones as long as they are wanted. */
function* seedsOf(wanted: {
  range: { from: number; to: number };
  freshFrom: number;
  isFreshWanted: () => boolean;
}): Generator<number, undefined> {
  for (const { seed } of namedSeeds) yield seed;
  for (let seed = wanted.range.from; seed <= wanted.range.to; seed++) yield seed;
  for (let seed = wanted.freshFrom; wanted.isFreshWanted(); seed++) yield seed;
  return undefined;
}

function described(summary: {
  seeds: number;
  passed: number;
  failed: readonly { seed: number; violations: readonly string[] }[];
  freshFrom?: number;
  seconds: number;
  seedsPerSecond: number;
  virtualHours: number;
  counts: Readonly<Record<string, number>>;
}): string {
  const reached = Object.entries(summary.counts).map(
    ([what, times]) => `${String(times).padStart(9)}  ${what}`,
  );
  const failed = summary.failed.map(
    ({ seed, violations }) =>
      `seed ${seed}: ${violations.join('; ').slice(0, 500)}\n  npm run simulate -- --seed ${seed}`,
  );
  return [
    'reached, in all seeds together:',
    ...reached,
    ...failed,
    ...(summary.freshFrom === undefined ? [] : [`fresh seeds from ${summary.freshFrom}`]),
    `${summary.seeds} seeds, ${summary.passed} passed, ${summary.failed.length} failed; ${summary.virtualHours} virtual hours in ${summary.seconds} s, ${summary.seedsPerSecond} seeds a second`,
    '',
  ].join('\n');
}

function rangeOf(text: string): { from: number; to: number } {
  if (text === '') return { from: 1, to: 0 };
  const [, from, to] = /^(\d+)\.\.(\d+)$/.exec(text) ?? fail(`--seeds takes FROM..TO, not ${text}`);
  return { from: Number(from), to: Number(to) };
}

function wholeNumber(text: string): number {
  return /^\d+$/.test(text) ? Number(text) : fail(`${text} is not a whole number`);
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

await main();
