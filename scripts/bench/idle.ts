import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BaysAnswer, StatusAnswer } from '../../agent/cli/answers.ts';
import { askForResult } from '../../agent/control/client.ts';
import type { ControlRequestName } from '../../agent/control/requests.ts';
import { bytes } from '../../agent/cli/output.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { normEditions } from '../../protocol/norm/editions.ts';
import { quotaFor } from '../../protocol/norm/quota.ts';
import { agentCommand } from '../agent-command.ts';
import { endProcess, startHelper } from './helper-process.ts';
import type { IdleCamerasTask } from './idle-cameras.ts';
import { processMemory, threadsCpuSeconds, type ProcessMemory } from './process-status.ts';
import { atMost, median, percent, times, type BenchOptions, type BenchReport } from './report.ts';

const bayCounts = [0, 8] as const;
const aimedResidentBytes = 90 * 2 ** 20;
const recordingBytes = 20_000;
const readyWithinMs = 60_000;

interface IdleFigure extends ProcessMemory {
  readonly what: string;
  /** Of one processor. */
  readonly cpuShare: number;
}

/** What the agent takes while it has nothing to do, next to a Node process that never has anything to do. */
export async function benchIdle(options: BenchOptions): Promise<BenchReport> {
  const seconds = options.isQuick ? 5 : 20;
  const settleSeconds = options.isQuick ? 3 : 10;
  const figures: IdleFigure[] = [];
  const measure = async (what: string, process: ChildProcess): Promise<void> => {
    options.say(`idle: ${what}, ${settleSeconds} s to settle, ${seconds} s measured`);
    await systemClock.sleep(settleSeconds * 1000, options.signal);
    figures.push({ what, ...(await atRest(process.pid ?? 0, seconds, options.signal)) });
  };

  const floor = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });
  try {
    await measure('node, a timer alone', floor);
  } finally {
    await endProcess(floor);
  }
  // The first start after an update strips the types and fills the compile cache; every later one is like these.
  await withAgent('warm', 0, options, async () => undefined);
  for (const bayCount of bayCounts) {
    await withAgent(`agent-${bayCount}`, bayCount, options, (agent) =>
      measure(`agent, ${bayCount} bays`, agent),
    );
  }
  return report(figures, seconds);
}

/** Runs the real agent, with a finished camera in every bay. */
async function withAgent(
  name: string,
  bayCount: number,
  { folder: parent, signal, say }: BenchOptions,
  work: (agent: ChildProcess) => Promise<void>,
): Promise<void> {
  const folder = join(parent, name);
  mkdirSync(folder);
  const paths = Array.from({ length: bayCount }, (_, index) => join(folder, `bay${index + 1}`));
  const config = join(folder, 'config.toml');
  writeFileSync(config, configText(paths));

  const task: IdleCamerasTask = { paths, recordingBytes };
  await using cameras = startHelper<{ isReady: true }>('idle-cameras.ts', task);
  await cameras.next();
  const log = openSync(join(folder, 'agent.log'), 'w');
  const { command, args, options } = agentCommand(config);
  const agent = spawn(command, args, { ...options, stdio: ['ignore', 'ignore', log] });
  try {
    say(`idle: starting the agent with ${bayCount} bays`);
    await untilAtRest(agent, join(folder, 'control.sock'), signal);
    await work(agent);
  } finally {
    await endProcess(agent);
  }
}

function configText(paths: readonly string[]): string {
  const edition = normEditions[0]!;
  let headcount = 1;
  while (quotaFor(headcount, edition).quota < paths.length) headcount++;
  const bays = paths.map((path, index) => `[[bay]]\nnumber = ${index + 1}\nserial = { path = "${path}" }\n`);
  return `[post]
headcount = ${headcount}

[state]
folder = "."

[clock]
station_clock = "trusted"

[broker]
embedded_port = 0

${bays.join('\n')}`;
}

/** Every camera is done, and everything that is to be said has been said to the broker. */
async function untilAtRest(agent: ChildProcess, socketPath: string, signal: AbortSignal): Promise<void> {
  const ask = async <T>(name: ControlRequestName): Promise<T | undefined> =>
    (await askForResult(socketPath, name, {}).catch(() => undefined)) as T | undefined;
  const deadline = performance.now() + readyWithinMs;
  for (;;) {
    const { bays = [] } = (await ask<BaysAnswer>('bays')) ?? {};
    const { broker } = (await ask<StatusAnswer>('status')) ?? {};
    if (broker?.isConnected && broker.waitingEvents === 0 && bays.every(({ phase }) => phase === 'ready'))
      return;
    if (agent.exitCode !== null) throw new Error(`the agent ended with ${agent.exitCode}`);
    if (performance.now() > deadline) throw new Error(`the agent is not at rest: ${JSON.stringify(bays)}`);
    await systemClock.sleep(200, signal);
  }
}

async function atRest(
  pid: number,
  seconds: number,
  signal: AbortSignal,
): Promise<ProcessMemory & { cpuShare: number }> {
  const started = { ms: performance.now(), cpu: threadsCpuSeconds(pid) };
  const samples: ProcessMemory[] = [];
  for (let second = 0; second < seconds; second++) {
    await systemClock.sleep(1000, signal);
    samples.push(processMemory(pid));
  }
  const cpuSeconds = threadsCpuSeconds(pid) - started.cpu;
  const middle = (of: keyof ProcessMemory): number => median(samples.map((sample) => sample[of]));
  return {
    residentBytes: middle('residentBytes'),
    anonymousBytes: middle('anonymousBytes'),
    fileBytes: middle('fileBytes'),
    cpuShare: (cpuSeconds * 1000) / (performance.now() - started.ms),
  };
}

function report(figures: readonly IdleFigure[], seconds: number): BenchReport {
  const floor = figures[0]!;
  const agents = figures.slice(1);
  return {
    title: `Idle: processor and memory at rest, over ${seconds} s`,
    head: ['PROCESS', 'CPU', 'RESIDENT', 'ANONYMOUS', 'FILE', 'OF NODE ALONE', 'OF 90 MiB'],
    right: [1, 2, 3, 4, 5, 6],
    rows: figures.map((figure) => [
      figure.what,
      percent(figure.cpuShare, 2),
      bytes(figure.residentBytes),
      bytes(figure.anonymousBytes),
      bytes(figure.fileBytes),
      figure === floor ? '' : times(figure.residentBytes / floor.residentBytes),
      percent(figure.residentBytes / aimedResidentBytes, 0),
    ]),
    aims: agents.map(({ what, residentBytes }) =>
      atMost(`${what}, resident`, residentBytes, aimedResidentBytes, bytes),
    ),
    notes: [
      'CPU is of one processor; every bay holds a camera that is done and is asked for its identity every 2 s',
      'the agent runs its embedded broker; FILE is mostly the program of Node, which processes share',
    ],
    figures: { seconds, processes: figures },
  };
}
