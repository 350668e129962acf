/** Helper of the bench: everything that is measured on the host side of the cable, in a process of its own. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { helperTask, sendToBench } from '../bench/helper-process.ts';
import { ownCpuSeconds } from '../bench/process-status.ts';
import { openRawLink } from './raw-link.ts';
import { mebibyte } from './task.ts';
import { timedIngest, type IngestTimes } from './timed-ingest.ts';

export interface LinkTask {
  /** For vault and database, on a real disk. */
  readonly folder: string;
}

/** What to do with the cameras on these ports, all at once. */
export interface LinkJob {
  /** `raw`: the windows of the last ingest, thrown away; `whole`: GetObject, thrown away. */
  readonly kind: 'ingest' | 'raw' | 'whole';
  readonly ports: readonly string[];
}

export interface LinkResult {
  readonly bytes: number;
  /** From opened and listed cameras to the end of the last. */
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  /** Window lengths, each with how often it came in a row. */
  readonly windows: string;
  readonly ingest?: IngestTimes;
}

/** How the last ingest cut a recording up, by its size. */
const windowsBySize = new Map<number, readonly number[]>();

async function discardAll({ kind, ports }: LinkJob): Promise<LinkResult> {
  await using stack = new AsyncDisposableStack();
  const links = [];
  for (const port of ports) links.push(stack.use(await openRawLink(port)));
  const windows = windowsBySize.get(links[0]?.sizeBytes ?? 0) ?? [];
  const before = { ms: performance.now(), cpu: cpuSeconds() };
  await Promise.all(links.map((link) => (kind === 'whole' ? link.readObject() : link.readWindows(windows))));
  return {
    bytes: links.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    wallSeconds: (performance.now() - before.ms) / 1000,
    cpuSeconds: cpuSeconds() - before.cpu,
    windows: kind === 'whole' ? 'none' : describe(windows),
  };
}

async function ingestAll({ ports }: LinkJob, folder: string): Promise<LinkResult> {
  const { bytes, wallSeconds, cpu, windows, times } = await timedIngest(ports, folder, cpuSeconds);
  for (const [size, lengths] of windows) windowsBySize.set(size, lengths);
  rmSync(folder, { recursive: true });
  const [lengths = []] = windows.values();
  return { bytes, wallSeconds, cpuSeconds: cpu, windows: describe(lengths), ingest: times };
}

function cpuSeconds(): number {
  const { user, system } = ownCpuSeconds();
  return user + system;
}

/** `4 × 1 MiB, 4 × 2 MiB`. */
function describe(lengths: readonly number[]): string {
  const runs: { length: number; count: number }[] = [];
  for (const length of lengths) {
    const last = runs.at(-1);
    if (last?.length === length) last.count++;
    else runs.push({ length, count: 1 });
  }
  return runs.map(({ length, count }) => `${count} × ${+(length / mebibyte).toFixed(2)} MiB`).join(', ');
}

if (import.meta.main) {
  const { folder } = helperTask<LinkTask>();
  let jobs = 0;
  process.on('message', (text: string) => {
    const job = JSON.parse(text) as LinkJob;
    const work = job.kind === 'ingest' ? ingestAll(job, join(folder, `job-${++jobs}`)) : discardAll(job);
    work.then(sendToBench, (error: unknown) => {
      throw error;
    });
  });
}
