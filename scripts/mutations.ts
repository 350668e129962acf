/**
 * Puts deliberate bugs into a copy of the tree, one at a time, and runs the tests that must catch them. One that
 * survives is a hole in the suite; one whose text is not found is a list that has rotted. Both fail.
 */
import { spawn, execFileSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
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
import type { Catcher, Mutation } from '../test/mutations/mutation.ts';
import { storingMutations } from '../test/mutations/storing.ts';
import { wireMutations } from '../test/mutations/wire.ts';

const mutations: readonly Mutation[] = [
  ...storingMutations,
  ...decidingMutations,
  ...askingMutations,
  ...wireMutations,
];

const usage = `npm run mutate [-- --only NAME] [--part N/OF] [--for SECONDS] [--list] [--json]

  --only NAME     this bug alone; may be repeated
  --part N/OF     every OF-th bug, from the N-th on
  --for SECONDS   begins no further bug after so long; starts at another place of the list every day
  --list          the bugs, and what each would do to a station
  --json          one JSON object at the end

  npm run mutate -- --only skip-file-fsync
`;

const root = new URL('..', import.meta.url).pathname;
/** A test that the bug keeps from ending has caught it. */
const catcherTimeoutMs = 240_000;
const millisecondsPerDay = 86_400_000;

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
  if (!(from >= 1 && of >= from && !Number.isNaN(deadlineMs))) throw new Error(usage);

  const rotten = mutations.flatMap((mutation) => rotIn(mutation) ?? []);
  for (const problem of rotten) process.stdout.write(`ROTTEN    ${problem}\n`);
  const chosen = mutations
    .filter((_, index) => index % of === from - 1)
    .filter(({ name }) => flags.only.length === 0 || flags.only.includes(name));
  const start = flags.for === 'Infinity' ? 0 : Math.floor(Date.now() / millisecondsPerDay) * 7;
  const waiting = chosen.map((_, index) => chosen[(index + start) % chosen.length] as Mutation);
  const isSound: SoundCatchers = new Map();
  const verdicts: { name: string; verdict: Verdict; seconds: number }[] = [];
  await Promise.all(
    Array.from({ length: Math.min(availableParallelism(), chosen.length) }, async () => {
      using tree = new TreeCopy(isSound);
      while (performance.now() < deadlineMs) {
        const mutation = waiting.shift();
        if (!mutation) return;
        const startedMs = performance.now();
        const verdict = await tree.judge(mutation);
        const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
        verdicts.push({ name: mutation.name, verdict, seconds });
        process.stdout.write(`${line(mutation, verdict)} (${seconds} s)\n`);
      }
    }),
  );
  const caught = verdicts.filter(({ verdict }) => verdict.kind === 'caught').length;
  const summary = { bugs: mutations.length, tried: verdicts.length, caught, rotten: rotten.length };
  process.stdout.write(
    flags.json
      ? `${JSON.stringify({ ...summary, verdicts })}\n`
      : `${caught} caught of ${verdicts.length} tried, of ${mutations.length} in the list\n`,
  );
  process.exitCode = caught === verdicts.length && rotten.length === 0 ? 0 : 1;
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

type Outcome = 'passes' | 'fails' | 'does not load';

/** Whether a catcher passes without any bug: only one that does can catch one. */
type SoundCatchers = Map<string, Promise<boolean>>;

/** A copy of the working tree with the packages of this one. */
class TreeCopy implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'dock-mutations-'));
  readonly #isSound: SoundCatchers;

  constructor(isSound: SoundCatchers) {
    this.#isSound = isSound;
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
      const isSound = this.#isSound.get(key) ?? this.#run(catcher).then((outcome) => outcome === 'passes');
      this.#isSound.set(key, isSound);
      if (!(await isSound)) return { kind: 'unusable', why: `${key} fails without any bug` };
      const path = join(this.#folder, mutation.file);
      const before = readFileSync(path, 'utf8');
      writeFileSync(
        path,
        mutation.edits.reduce((text, { find, replace }) => text.replace(find, () => replace), before),
      );
      const outcome = await this.#run(catcher);
      writeFileSync(path, before);
      if (outcome === 'fails') return { kind: 'caught', by: key };
      if (outcome === 'does not load') return { kind: 'unusable', why: `${key} does not load with it` };
    }
    return { kind: 'survived' };
  }

  async #run(catcher: Catcher): Promise<Outcome> {
    if (catcher.kind === 'seeds') return this.#simulate(catcher);
    if (catcher.kind === 'command') return (await this.#spawn(catcher.command)) === 0 ? 'passes' : 'fails';
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
    if (code === 0) return 'passes';
    if (code === undefined) return 'fails';
    // A file that does not load fails without a test that does: that would be a bug in the list.
    const { numFailedTests } = JSON.parse(readFileSync(report, 'utf8')) as { numFailedTests: number };
    return numFailedTests > 0 ? 'fails' : 'does not load';
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
    if (text === '') return 'does not load';
    const { failed } = JSON.parse(text) as { failed: readonly { violations: readonly string[] }[] };
    // A process that ended without a verdict says nothing about promises.
    if (failed.some(({ violations }) => /^(promise|agent)\b/.test(violations[0] ?? ''))) return 'fails';
    return failed.length === 0 ? 'passes' : 'does not load';
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
