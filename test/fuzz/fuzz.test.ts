// Promise 6: no input can crash, hang or fill the agent. What fuzzing found stays here as a file with a name, and
// every target runs a little, so that one which no longer fits the code is noticed. More: npm run fuzz.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { fuzz, problemOf } from './engine.ts';
import { expectThat, type FuzzTarget } from './target.ts';
import { fuzzTargets } from './targets.ts';

const folder = new URL('./findings', import.meta.url).pathname;
const findings = readdirSync(folder).flatMap((name) =>
  readdirSync(join(folder, name)).map((file) => ({ name, file })),
);

test.each(findings)('$name takes $file as it should', async ({ name, file }) => {
  const target = fuzzTargets.find((each) => each.name === name);
  expect(target, 'a finding without a target').toBeDefined();
  if (target) expect(await problemOf(target, readFileSync(join(folder, name, file)))).toBeUndefined();
});

test.each(fuzzTargets)('$name holds for its own seeds and some mutations', async (target) => {
  const mostRuns = target.seeds.length + (target.isSlow ? 10 : 100);
  const { findings: found } = await fuzz(target, { seed: 1, mostRuns, forMs: 5000 });
  expect(found.map(({ problem }) => problem)).toEqual([]);
});

describe('the engine', () => {
  afterEach(() => delete (Object.prototype as Record<string, unknown>)['planted']);

  const target = (run: FuzzTarget['run']): FuzzTarget => ({
    name: 'planted',
    story: 'has a bug',
    seeds: [Buffer.from('abcdef')],
    mostMs: 50,
    run,
  });
  const problemsOf = async (run: FuzzTarget['run']): Promise<string[]> => {
    const { findings: found } = await fuzz(target(run), { seed: 1, mostRuns: 20_000, forMs: 60_000 });
    return found.map(({ problem }) => problem);
  };

  test('finds what is thrown for a rare input, and names it', async () => {
    const problems = await problemsOf((input) => expectThat(input[2] !== 0xff, 'rare'));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/rare/);
  });

  test('finds what takes long, and what changes the prototype of all objects', async () => {
    const slow = (input: Uint8Array): void => {
      const until = performance.now() + (input.length > 6 ? 60 : 0);
      while (performance.now() < until);
    };
    expect(await problemOf(target(slow), Buffer.from('abcdefg'))).toMatch(/^took \d+ ms$/);
    expect(await problemOf(target(slow), Buffer.from('abc'))).toBeUndefined();
    const pollute = (): void => void Object.assign(Object.prototype, { planted: 1 });
    expect(await problemOf(target(pollute), Buffer.from(''))).toMatch(/prototype of all objects got planted/);
  });

  test('draws the same inputs from the same seed', async () => {
    const drawn = async (seed: number): Promise<string[]> => {
      const inputs: string[] = [];
      const keep = (input: Uint8Array): void => void inputs.push(Buffer.from(input).toString('hex'));
      await fuzz(target(keep), { seed, mostRuns: 200, forMs: 20_000 });
      return inputs;
    };
    expect(await drawn(5)).toEqual(await drawn(5));
    expect(await drawn(5)).not.toEqual(await drawn(6));
  });
});
