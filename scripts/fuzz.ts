/**
 * Feeds every border of the agent with inputs that nobody would send, in search of one that it does not take as it
 * should. Coverage-guided: inputs that reach new code are kept and changed further.
 */
import { createHash, randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { problemOf, type Finding, type FuzzResult } from '../test/fuzz/engine.ts';
import { fuzzTargets } from '../test/fuzz/targets.ts';
import { mostSharedBytes, type FuzzTask } from './fuzz/worker.ts';

const usage = `npm run fuzz [-- --target NAME] [--for SECONDS] [--runs N] [--seed N] [--json]

  --target NAME   this border alone; may be repeated; --list names them
  --for SECONDS   for all targets together (60)
  --runs N        at most so many inputs for each target
  --seed N        the same inputs again, as far as time allows the same number of them (drawn, and printed)
  --save FOLDER   where inputs go that found something (fuzz-findings)
  --replay FILE   runs one input; needs --target
  --list          the targets, and what must hold of each
  --json          one JSON object at the end

  npm run fuzz -- --for 600                                        everything, ten minutes
  npm run fuzz -- --target smp-cbor --runs 1000000                 a million inputs for one decoder
  npm run fuzz -- --target smp-cbor --replay fuzz-findings/smp-cbor-0a1b2c3d.bin

What was found and mended stays as test/fuzz/findings/TARGET/NAME.bin, which npm test runs.
`;

/** No input takes so long, however busy the machine is. */
const hangMs = 30_000;
const memoryMegabytes = 512;

async function main(): Promise<void> {
  const { values: flags } = parseArgs({
    options: {
      target: { type: 'string', multiple: true, default: [] },
      for: { type: 'string', default: '60' },
      runs: { type: 'string', default: 'Infinity' },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
      save: { type: 'string', default: 'fuzz-findings' },
      replay: { type: 'string' },
      list: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (flags.help) return void process.stdout.write(usage);
  if (flags.list) {
    for (const { name, story } of fuzzTargets) process.stdout.write(`${name.padEnd(18)} ${story}\n`);
    return;
  }
  const unknown = flags.target.filter((name) => !fuzzTargets.some((target) => target.name === name));
  if (unknown.length > 0) throw new Error(`there is no target ${unknown.join(', ')}; see --list`);
  const targets = fuzzTargets.filter(({ name }) => flags.target.length === 0 || flags.target.includes(name));
  if (flags.replay !== undefined) return replay(targets[0]?.name ?? '', flags.replay);

  const numbers = [flags.for, flags.runs, flags.seed].map(Number);
  const [seconds = 60, mostRuns = Infinity, seed = 1] = numbers;
  if (numbers.some((number) => !(number >= 0))) throw new Error(`a number is no number\n\n${usage}`);
  const workers = Math.min(availableParallelism(), targets.length);
  const forMs = (seconds * 1000 * workers) / targets.length;
  process.stderr.write(`seed ${seed}, ${targets.length} targets, ${Math.round(forMs / 100) / 10} s each\n`);

  const results: FuzzResult[] = [];
  const waiting = targets.map(({ name }) => name);
  await Promise.all(
    Array.from({ length: workers }, async () => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
        const result = await runInWorker({ target: name, seed, mostRuns, forMs });
        results.push(result);
        process.stderr.write(`${line(result)}\n`);
        for (const finding of result.findings) report(finding, flags.save);
      }
    }),
  );
  const runs = results.reduce((sum, result) => sum + result.runs, 0);
  const findings = results.reduce((sum, result) => sum + result.findings.length, 0);
  const plain = results.map((result) => ({ ...result, findings: result.findings.length }));
  if (flags.json) process.stdout.write(`${JSON.stringify({ seed, runs, findings, targets: plain })}\n`);
  else process.stdout.write(`${runs} inputs, ${findings} findings\n`);
  process.exitCode = findings > 0 ? 1 : 0;
}

function line({ target, runs, elapsedMs, blocks, corpus, findings }: FuzzResult): string {
  const rate = Math.round((runs * 1000) / Math.max(elapsedMs, 1));
  const found = findings.length > 0 ? `, ${findings.length} FINDINGS` : '';
  return `${target.padEnd(18)} ${runs} inputs, ${rate}/s, ${blocks} blocks, corpus ${corpus}${found}`;
}

/** In a thread of its own: one that hangs or takes all memory is ended, and its last input is the finding. */
function runInWorker(task: Omit<FuzzTask, 'current'>): Promise<FuzzResult> {
  const current = new SharedArrayBuffer(8 + mostSharedBytes);
  const head = new Int32Array(current, 0, 2);
  const worker = new Worker(new URL('./fuzz/worker.ts', import.meta.url), {
    workerData: { ...task, current } satisfies FuzzTask,
    resourceLimits: { maxOldGenerationSizeMb: memoryMegabytes },
  });
  const startedMs = performance.now();
  return new Promise((resolve) => {
    let [count, changedMs] = [0, startedMs];
    const fail = (problem: string): void => {
      const input = Uint8Array.from(new Uint8Array(current, 8, head[1]));
      const runs = Atomics.load(head, 0);
      const elapsedMs = performance.now() - startedMs;
      const findings: Finding[] = [{ target: task.target, input, problem }];
      done({ target: task.target, runs, elapsedMs, blocks: 0, corpus: 0, findings });
    };
    const watch = setInterval(() => {
      const now = Atomics.load(head, 0);
      if (now !== count) [count, changedMs] = [now, performance.now()];
      else if (performance.now() - changedMs > hangMs) fail(`hangs for ${hangMs / 1000} s`);
    }, 1000);
    const done = (result: FuzzResult): void => {
      clearInterval(watch);
      resolve(result);
      void worker.terminate();
    };
    worker.once('message', done);
    worker.once('error', (error) => fail(String(error instanceof Error ? error.stack : error)));
    worker.once('exit', (code) => fail(`ended the process with ${code}`));
  });
}

function report({ target, input, problem }: Finding, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const digest = createHash('sha256').update(input).digest('hex').slice(0, 8);
  const file = join(folder, `${target}-${digest}.bin`);
  writeFileSync(file, input);
  const command = `npm run fuzz -- --target ${target} --replay ${file}`;
  process.stderr.write(`\n${target}: ${problem}\n  ${input.length} bytes; again with: ${command}\n\n`);
}

async function replay(name: string, file: string): Promise<void> {
  const target = fuzzTargets.find((each) => each.name === name);
  if (!target) throw new Error('--replay needs --target');
  const problem = await problemOf(target, readFileSync(file));
  process.stdout.write(`${problem ?? 'taken as it should be'}\n`);
  process.exit(problem === undefined ? 0 : 1);
}

await main();
