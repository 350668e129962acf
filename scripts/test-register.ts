/**
 * The shared register as databases are tested: many short histories over bad lines, with stations and servers that die,
 * and a checker that looks for a camera too many and for an enrolment that was acknowledged and lost. See test/register.
 */
import { parseArgs } from 'node:util';
import { deliberateBugs, RegisterCluster, type DeliberateBug } from '../test/register/register-cluster.ts';
import { runHistory, type HistoryResult } from '../test/register/run-history.ts';

const usage = `npm run test:register [-- --seed N | --for SECONDS] [--from N] [--bug NAME] [--json]

  --seed N       one history, without restarts of the server
  --for SECONDS  fresh histories for so long (default 60); the server is restarted, and failed over once
  --from N       first seed (default 1)
  --bug NAME     with a deliberate bug, which the checker has to see:
                   ${Object.keys(deliberateBugs).join('\n                   ')}
  --json         one JSON object at the end

Ends with 1 when a promise was broken; with a deliberate bug, when none was.
`;
const slots = 8;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      for: { type: 'string', default: '60' },
      from: { type: 'string', default: '1' },
      bug: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const bug = values.bug;
  if (bug !== undefined && !isBug(bug)) throw new Error(`there is no bug ${bug}\n\n${usage}`);
  await using cluster = await RegisterCluster.start(slots, bug);
  const started = performance.now();
  const results: HistoryResult[] = [];
  const counts = { restarts: 0, failovers: 0 };
  if (values.seed !== undefined) results.push(await runHistory(Number(values.seed), 0, cluster));
  else {
    const endsAt = started + Number(values.for) * 1000;
    let next = Number(values.from);
    const slot = async (index: number): Promise<void> => {
      while (performance.now() < endsAt) results.push(await runHistory(next++, index, cluster));
    };
    const disturb = async (): Promise<void> => {
      const every = Math.min(8000, (endsAt - started) / 5);
      while (performance.now() + every < endsAt) {
        await new Promise((resolve) => setTimeout(resolve, every));
        const isHalf = performance.now() - started > (endsAt - started) / 2;
        if (isHalf && counts.failovers === 0) {
          await cluster.failOver();
          counts.failovers++;
        } else {
          await cluster.restart();
          counts.restarts++;
        }
      }
    };
    await Promise.all([disturb(), ...Array.from({ length: slots }, (_, index) => slot(index))]);
  }
  const failed = results.filter(({ wrong }) => wrong.length > 0);
  const sum = (key: 'operations' | 'unknown'): number => results.reduce((total, one) => total + one[key], 0);
  const report = {
    passed: results.length - failed.length,
    failed,
    operations: sum('operations'),
    unknown: sum('unknown'),
    ...counts,
    seconds: Math.round((performance.now() - started) / 1000),
  };
  if (values.json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else {
    for (const { seed, wrong } of failed.slice(0, 5)) {
      process.stdout.write(
        `seed ${seed}: ${wrong.slice(0, 5).join('\n  ')}\n  npm run test:register -- --seed ${seed}\n`,
      );
    }
    process.stdout.write(
      `${report.passed} histories passed, ${failed.length} failed: ${report.operations} requests, ${report.unknown} without an answer, ` +
        `${counts.restarts} restarts, ${counts.failovers} failovers, ${report.seconds} s\n`,
    );
  }
  process.exitCode = failed.length > 0 === (bug === undefined) ? 1 : 0;
}

function isBug(name: string): name is DeliberateBug {
  return name in deliberateBugs;
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`test:register: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
