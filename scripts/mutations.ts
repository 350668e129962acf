/**
 * Puts deliberate bugs into a copy of the tree, one at a time, and runs the tests that must catch them. One that
 * survives is a hole in the suite; one whose text is not found is a list that has rotted. Both fail.
 */
import { spawn, execFileSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { askingMutations } from '../test/mutations/asking.ts';
import { decidingMutations } from '../test/mutations/deciding.ts';
import { registerMutations } from '../test/mutations/register.ts';
import type { Catcher, Mutation } from '../test/mutations/mutation.ts';
import { storingMutations } from '../test/mutations/storing.ts';
import { wireMutations } from '../test/mutations/wire.ts';

const mutations: readonly Mutation[] = [
  ...storingMutations,
  ...decidingMutations,
  ...registerMutations,
  ...askingMutations,
  ...wireMutations,
];

const usage = `npm run mutate [-- --only NAME] [--part N/OF] [--for SECONDS] [--list] [--json]

  --only NAME     this bug alone; may be repeated
  --part N/OF     every OF-th bug, from the N-th on
  --for SECONDS   begins no further bug after so long
  --start N       begins with the N-th of the list and goes round: with --for, others for another N
  --list          the bugs, and what each would do to a station
  --json          one JSON object at the end

  npm run mutate -- --only skip-file-fsync
`;

const root = new URL('..', import.meta.url).pathname;
/** A test that the bug keeps from ending has caught it. */
const catcherTimeoutMs = 240_000;

type Verdict =
  | { readonly kind: 'caught'; readonly by: string }
  | { readonly kind: 'survived' }
  /** The list or the tree is wrong, so nothing is known. */
  | { readonly kind: 'unusable'; readonly why: string };

async function main(): Promise<void> {
  const { values: flags } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      part: { type: 'string', default: '1/1' },
      for: { type: 'string', default: 'Infinity' },
      start: { type: 'string', default: '1' },
      list: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (flags.help) return void process.stdout.write(usage);
  if (flags.list) {
    for (const { name, story } of mutations) process.stdout.write(`${name.padEnd(50)} ${story}\n`);
    return;
  }
  const unknown = flags.only.filter((name) => !mutations.some((mutation) => mutation.name === name));
  if (unknown.length > 0) throw new Error(`there is no bug ${unknown.join(', ')}; see --list`);
  const [from = 1, of = 1] = flags.part.split('/').map(Number);
  const deadlineMs = performance.now() + Number(flags.for) * 1000;
  const start = Number(flags.start);
  if (!(from >= 1 && of >= from && Number.isSafeInteger(start) && start >= 1 && !Number.isNaN(deadlineMs)))
    throw new Error(usage);

  const progress = flags.json ? process.stderr : process.stdout;
  const rotten = mutations.flatMap((mutation) => rotIn(mutation) ?? []);
  for (const problem of rotten) progress.write(`ROTTEN    ${problem}\n`);
  const chosen = mutations
    .filter((_, index) => index % of === from - 1)
    .filter(({ name }) => flags.only.length === 0 || flags.only.includes(name));
  const waiting = chosen.map((_, index) => chosen[(index + start - 1) % chosen.length] as Mutation);
  const baselines: Baselines = new Map();
  const verdicts: { mutation: Mutation; verdict: Verdict; seconds: number }[] = [];
  await Promise.all(
    Array.from({ length: Math.min(availableParallelism(), chosen.length) }, async () => {
      using tree = new TreeCopy(baselines);
      while (performance.now() < deadlineMs) {
        const mutation = waiting.shift();
        if (!mutation) return;
        const startedMs = performance.now();
        const verdict = await tree.judge(mutation);
        const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
        verdicts.push({ mutation, verdict, seconds });
        progress.write(`${line(mutation, verdict)} (${seconds} s)\n`);
      }
    }),
  );
  const missed = verdicts.filter(({ verdict }) => verdict.kind !== 'caught');
  const caught = verdicts.length - missed.length;
  process.stdout.write(
    flags.json
      ? `${JSON.stringify({
          bugs: mutations.length,
          passed: caught,
          failed: [...missed.map(({ mutation, verdict }) => line(mutation, verdict)), ...rotten],
        })}\n`
      : `${caught} caught of ${verdicts.length} tried, of ${mutations.length} in the list\n`,
  );
  process.exitCode = missed.length === 0 && rotten.length === 0 ? 0 : 1;
}

function line({ name, story }: Mutation, verdict: Verdict): string {
  switch (verdict.kind) {
    case 'caught':
      return `caught    ${name}, by ${verdict.by}`;
    case 'survived':
      return `SURVIVED  ${name}: ${story}`;
    case 'unusable':
      return `UNUSABLE  ${name}: ${verdict.why}`;
  }
}

/** Why the edits do not fit the tree; undefined when they do. */
function rotIn({ name, file, edits }: Mutation): string | undefined {
  const text = readFileSync(join(root, file), 'utf8');
  const misfit = edits.find(({ find }) => text.split(find).length !== 2);
  return (
    misfit &&
    `${name}: ${file} has ${text.split(misfit.find).length - 1} times ${JSON.stringify(misfit.find)}`
  );
}

/** A catcher's word on the tree; why it does not pass. */
interface Outcome {
  readonly kind: 'passes' | 'fails' | 'does not load';
  readonly why: string;
}
const passes: Outcome = { kind: 'passes', why: '' };

/** What each catcher says without any bug: only one that passes can catch one. */
type Baselines = Map<string, Promise<Outcome>>;

interface VitestReport {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** A copy of the working tree with the packages of this one. */
class TreeCopy implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'dock-mutations-'));
  readonly #baselines: Baselines;

  constructor(baselines: Baselines) {
    this.#baselines = baselines;
    const list = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], { cwd: root });
    for (const name of list.toString('utf8').split('\0').filter(Boolean)) {
      mkdirSync(dirname(join(this.#folder, name)), { recursive: true });
      cpSync(join(root, name), join(this.#folder, name));
    }
    symlinkSync(join(root, 'node_modules'), join(this.#folder, 'node_modules'));
  }

  async judge(mutation: Mutation): Promise<Verdict> {
    const rot = rotIn(mutation);
    if (rot !== undefined) return { kind: 'unusable', why: rot };
    for (const catcher of mutation.catchers) {
      const key = nameOf(catcher);
      const baseline = this.#baselines.get(key) ?? this.#run(catcher);
      this.#baselines.set(key, baseline);
      const { kind, why } = await baseline;
      if (kind !== 'passes') return { kind: 'unusable', why: `${key} ${kind} without any bug: ${why}` };
      const path = join(this.#folder, mutation.file);
      const before = readFileSync(path, 'utf8');
      writeFileSync(
        path,
        mutation.edits.reduce((text, { find, replace }) => text.replace(find, () => replace), before),
      );
      const outcome = await this.#run(catcher);
      writeFileSync(path, before);
      if (outcome.kind === 'fails') return { kind: 'caught', by: key };
      if (outcome.kind !== 'passes')
        return { kind: 'unusable', why: `${key} does not load with it: ${outcome.why}` };
    }
    return { kind: 'survived' };
  }

  async #run(catcher: Catcher): Promise<Outcome> {
    if (catcher.kind === 'seeds') return this.#simulate(catcher);
    if (catcher.kind === 'command') {
      const code = await this.#spawn(catcher.command);
      return code === 0 ? passes : { kind: 'fails', why: `it exited with ${code ?? 'a signal'}` };
    }
    const report = join(this.#folder, 'report.json');
    rmSync(report, { force: true });
    const vitest = ['node_modules/vitest/vitest.mjs', 'run', catcher.file, '--bail=1'];
    if (catcher.named !== undefined) vitest.push('-t', catcher.named);
    const code = await this.#spawn([
      process.execPath,
      ...vitest,
      '--reporter=json',
      `--outputFile=${report}`,
    ]);
    if (code === 0) return passes;
    if (code === undefined) return { kind: 'fails', why: 'it did not end, or a signal ended it' };
    if (!existsSync(report)) return { kind: 'does not load', why: `exit ${code} without a report` };
    const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as VitestReport;
    const failed = testResults
      .flatMap(({ assertionResults }) => assertionResults)
      .find(({ status }) => status === 'failed');
    if (failed) return { kind: 'fails', why: `${failed.fullName}: ${failed.failureMessages[0] ?? ''}` };
    // A file that does not load fails without a test that does: that would be a bug in the list.
    return { kind: 'does not load', why: testResults[0]?.message ?? `exit ${code} without a failed test` };
  }

  async #simulate({ from, count }: Extract<Catcher, { kind: 'seeds' }>): Promise<Outcome> {
    const report = join(this.#folder, 'seeds.json');
    rmSync(report, { force: true });
    const range = `${from}..${from + count - 1}`;
    const output = openSync(report, 'w');
    const flags = ['--seeds', range, '--workers', '1', '--bail', '--json'];
    await this.#spawn([process.execPath, 'scripts/simulate.ts', ...flags], output);
    closeSync(output);
    const text = readFileSync(report, 'utf8');
    if (text === '') return { kind: 'does not load', why: 'it said nothing' };
    const { failed } = JSON.parse(text) as { failed: readonly { violations: readonly string[] }[] };
    // A process that ended without a verdict says nothing about promises.
    const broken = failed.find(({ violations }) => /^(promise|agent)\b/.test(violations[0] ?? ''));
    if (broken) return { kind: 'fails', why: broken.violations[0] ?? '' };
    return failed.length === 0 ? passes : { kind: 'does not load', why: failed[0]?.violations[0] ?? '' };
  }

  /** The exit code; undefined when it took too long. */
  #spawn(
    [command = '', ...args]: readonly string[],
    output: number | 'ignore' = 'ignore',
  ): Promise<number | undefined> {
    const stdio = ['ignore', output, 'ignore'] as const;
    const child = spawn(command, args, { cwd: this.#folder, stdio: [...stdio], detached: true });
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        // With the processes that its tests have started.
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      }, catcherTimeoutMs);
      child.once('close', (code) => {
        clearTimeout(timer);
        resolve(code ?? undefined);
      });
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function nameOf(catcher: Catcher): string {
  if (catcher.kind === 'command') return catcher.command.join(' ');
  if (catcher.kind === 'seeds') return `simulation of ${catcher.count} seeds from ${catcher.from} on`;
  return catcher.named === undefined ? catcher.file : `${catcher.file} "${catcher.named}"`;
}

await main();
