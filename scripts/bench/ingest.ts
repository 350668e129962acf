import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startHelper } from './helper-process.ts';
import { sourceBytes, type IngestResult, type IngestTask } from './ingest-worker.ts';
import type { CpuSeconds } from './process-status.ts';
import { atMost, median, times, withSpread, type BenchOptions, type BenchReport } from './report.ts';
import { sampleBytes } from './sample-bytes.ts';

const aimedRatio = 1.3;
const gib = 2 ** 30;
/** What a camera family hands over: a serial line its message buffer, USB a megabyte. */
const chunkSizes = [1024 * 1024, 2048] as const;

/** What one way of storing cost in one round. */
interface Cost {
  readonly cpuSecondsPerGib: number;
  /** The part of it that the kernel took. */
  readonly systemSecondsPerGib: number;
  readonly megabytesPerSecond: number;
}

interface Round {
  readonly cp: Cost;
  readonly sha256sum: Cost;
  readonly peer: Cost;
  /** Two digests with the hash function that the agent uses, of bytes in memory, plus `cp`. */
  readonly floor: Cost;
  readonly ingest: readonly { readonly chunkBytes: number; readonly cost: Cost }[];
}

/** CPU time of the real ingest next to `cp` and `sha256sum` of the same bytes on the same file system. */
export async function benchIngest(options: BenchOptions): Promise<BenchReport> {
  const { isQuick, say } = options;
  const folder = join(options.folder, 'ingest');
  mkdirSync(folder);
  // Many short rounds rather than few long ones: where memory is fresh to a virtual machine, a write costs more.
  const sizeBytes = 4 * sourceBytes;
  const roundCount = isQuick ? 3 : 11;
  expectRoom(folder, 4 * sizeBytes);
  const source = join(folder, 'source.bin');
  writeSource(source, sizeBytes);

  const rounds: Round[] = [];
  for (let round = 1; round <= roundCount; round++) {
    say(`ingest: round ${round} of ${roundCount}, ${sizeBytes / 2 ** 20} MiB`);
    rounds.push(await oneRound({ folder, source, sizeBytes, isFirstIngest: round % 2 === 0 }, options));
  }
  rmSync(folder, { recursive: true });
  return report(rounds, sizeBytes);
}

/** Who goes first changes from round to round, so that neither always finds the disk busy. */
async function oneRound(
  task: { folder: string; source: string; sizeBytes: number; isFirstIngest: boolean },
  { signal }: BenchOptions,
): Promise<Round> {
  const ingestAll = async (): Promise<Round['ingest']> => {
    const costs: { chunkBytes: number; cost: Cost }[] = [];
    for (const chunkBytes of chunkSizes) {
      costs.push({ chunkBytes, cost: await ingest({ ...task, chunkBytes }, signal) });
    }
    return costs;
  };
  const early = task.isFirstIngest ? await ingestAll() : undefined;
  const copy = join(task.folder, 'copy.bin');
  const cp = await commandCost('cp', [task.source, copy], task.sizeBytes, signal);
  rmSync(copy);
  const sha256sum = await commandCost('sha256sum', [task.source], task.sizeBytes, signal);
  const hash = hashCost(task.sizeBytes);
  return {
    cp,
    sha256sum,
    peer: inSequence(cp, sha256sum),
    floor: inSequence(cp, hash, hash),
    ingest: early ?? (await ingestAll()),
  };
}

async function ingest(
  { folder, sizeBytes, chunkBytes }: { folder: string; sizeBytes: number; chunkBytes: number },
  signal: AbortSignal,
): Promise<Cost> {
  signal.throwIfAborted();
  const task: IngestTask = { folder: join(folder, 'station'), sizeBytes, chunkBytes };
  await using worker = startHelper<IngestResult>('ingest-worker.ts', task);
  const { cpuSeconds, wallSeconds } = await worker.next();
  return cost(sizeBytes, cpuSeconds, wallSeconds);
}

/** `time` of bash counts what the program used, start and end included. */
async function commandCost(
  program: string,
  args: readonly string[],
  sizeBytes: number,
  signal: AbortSignal,
): Promise<Cost> {
  const script = `TIMEFORMAT='%R %U %S'; time "$0" "$@" > /dev/null`;
  const { stderr } = await promisify(execFile)('bash', ['-c', script, program, ...args], {
    env: { ...process.env, LC_ALL: 'C' },
    signal,
  });
  const [wall = 0, user = 0, system = 0] = stderr.trim().split(' ').map(Number);
  return cost(sizeBytes, { user, system }, wall);
}

function hashCost(sizeBytes: number): Cost {
  const source = sampleBytes(sourceBytes);
  const started = { wallMs: performance.now(), cpu: process.cpuUsage() };
  const hash = createHash('sha256');
  for (let hashed = 0; hashed < sizeBytes; hashed += chunkSizes[0]) {
    const start = hashed % source.length;
    hash.update(source.subarray(start, start + chunkSizes[0]));
  }
  hash.digest();
  const { user, system } = process.cpuUsage(started.cpu);
  return cost(
    sizeBytes,
    { user: user / 1e6, system: system / 1e6 },
    (performance.now() - started.wallMs) / 1000,
  );
}

function cost(sizeBytes: number, cpu: CpuSeconds, wallSeconds: number): Cost {
  return {
    cpuSecondsPerGib: ((cpu.user + cpu.system) * gib) / sizeBytes,
    systemSecondsPerGib: (cpu.system * gib) / sizeBytes,
    megabytesPerSecond: sizeBytes / 1e6 / wallSeconds,
  };
}

function inSequence(...costs: readonly Cost[]): Cost {
  const sum = (of: (cost: Cost) => number): number => costs.reduce((total, each) => total + of(each), 0);
  return {
    cpuSecondsPerGib: sum((each) => each.cpuSecondsPerGib),
    systemSecondsPerGib: sum((each) => each.systemSecondsPerGib),
    megabytesPerSecond: 1 / sum((each) => 1 / each.megabytesPerSecond),
  };
}

function report(rounds: readonly Round[], sizeBytes: number): BenchReport {
  const ways: { way: string; of: (round: Round) => Cost; isOurs: boolean }[] = [
    { way: 'cp', of: (round) => round.cp, isOurs: false },
    { way: 'sha256sum', of: (round) => round.sha256sum, isOurs: false },
    { way: 'cp + sha256sum', of: (round) => round.peer, isOurs: false },
    { way: 'cp + twice our hash', of: (round) => round.floor, isOurs: false },
    ...chunkSizes.map((chunkBytes, index) => ({
      way: `ingest, chunks of ${chunkBytes}`,
      of: (round: Round) => round.ingest[index]!.cost,
      isOurs: true,
    })),
  ];
  const figures = ways.map(({ way, of, isOurs }) => ({
    way,
    isOurs,
    cpuSecondsPerGib: rounds.map((round) => of(round).cpuSecondsPerGib),
    systemSecondsPerGib: rounds.map((round) => of(round).systemSecondsPerGib),
    megabytesPerSecond: rounds.map((round) => of(round).megabytesPerSecond),
    ofPeer: rounds.map((round) => of(round).cpuSecondsPerGib / round.peer.cpuSecondsPerGib),
    ofFloor: rounds.map((round) => of(round).cpuSecondsPerGib / round.floor.cpuSecondsPerGib),
  }));
  return {
    title: `Ingest: CPU seconds per GiB, ${rounds.length} rounds of ${sizeBytes / 2 ** 20} MiB, median (span)`,
    head: ['WAY', 'CPU s/GiB', 'IN THE KERNEL', 'OF cp + sha256sum', 'OF cp + TWICE OUR HASH', 'WALL MB/s'],
    right: [1, 2, 3, 4, 5],
    rows: figures.map((figure) => [
      figure.way,
      withSpread(figure.cpuSecondsPerGib),
      withSpread(figure.systemSecondsPerGib),
      figure.isOurs ? withSpread(figure.ofPeer) : '',
      figure.isOurs ? withSpread(figure.ofFloor) : '',
      withSpread(figure.megabytesPerSecond, 0),
    ]),
    aims: figures
      .filter(({ isOurs }) => isOurs)
      .map(({ way, ofPeer }) => atMost(`${way}, CPU of cp + sha256sum`, median(ofPeer), aimedRatio, times)),
    notes: [
      'ingest: receive, hash, write, sync, read back from the medium, hash again, link, sync the folder, commit',
      'cp and sha256sum find the source in memory and sync nothing; their start is counted, that of the agent is not',
      'sha256sum may come without the SHA instructions of the processor, which is why our own hash stands beside it',
    ],
    figures: { sizeBytes, ways: figures },
  };
}

function writeSource(path: string, sizeBytes: number): void {
  const source = sampleBytes(sourceBytes);
  const file = openSync(path, 'wx');
  for (let written = 0; written < sizeBytes; written += source.length) writeSync(file, source);
  closeSync(file);
}

function expectRoom(folder: string, neededBytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize >= neededBytes) return;
  throw new Error(`${neededBytes} bytes needed in ${folder}; set TMPDIR to a folder with more room`);
}
