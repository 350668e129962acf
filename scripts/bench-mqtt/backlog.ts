import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bytes } from '../../agent/cli/output.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { ownCpuSeconds, processMemory } from '../bench/process-status.ts';
import { atMost, type BenchOptions, type BenchReport } from '../bench/report.ts';
import { BenchStation } from './bench-station.ts';
import { startMosquitto } from './mosquitto.ts';

const aimedGrowthBytes = 64 * 2 ** 20;
/** As many as a session commits together. */
const recordedAtOnce = 20;

interface Phase {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly writtenBytes: number;
}

/** A broker that was away for long: what waits until it is back, how long it takes then, and what it takes. */
export async function benchBacklog(options: BenchOptions): Promise<BenchReport> {
  const count = options.isQuick ? 50_000 : 1_000_000;
  const folder = join(options.folder, 'backlog');
  mkdirSync(folder, { recursive: true });
  await using broker = await startMosquitto(join(folder, 'broker'));
  await using station = new BenchStation(folder);

  const step = count / 100;
  const recorded = await phase(async () => {
    for (let done = 0; done < count; done += step) {
      options.signal.throwIfAborted();
      options.say(`backlog: ${done} of ${count} recorded`);
      station.record(step, { from: done, atOnce: recordedAtOnce });
      await systemClock.sleep(0);
    }
  });
  const databaseBytes = statSync(station.databaseFile).size;
  const resident: number[] = [];
  const delivered = await phase(async () => {
    station.start(broker.url);
    while (station.outbox.waiting().bytes > 0) {
      options.signal.throwIfAborted();
      options.say(`backlog: ${bytes(station.outbox.waiting().bytes)} waiting`);
      resident.push(processMemory(process.pid).residentBytes);
      await systemClock.sleep(100);
    }
  });
  await station.stop();

  // From a tenth on: before, code is compiled and the heap takes its size.
  const settled = resident.slice(Math.floor(resident.length / 10));
  const growth = Math.max(0, Math.max(...settled) - (settled[0] ?? Number.NaN));
  const us = (seconds: number): string => `${((seconds / count) * 1e6).toFixed(1)} µs`;
  const each = (total: number): string => bytes(Math.round(total / count));
  return {
    title: `Backlog: ${count} events`,
    head: ['', 'RECORDED', 'DELIVERED'],
    right: [1, 2],
    rows: [
      ['time', `${recorded.seconds.toFixed(1)} s`, `${delivered.seconds.toFixed(1)} s`],
      ['a second', (count / recorded.seconds).toFixed(0), (count / delivered.seconds).toFixed(0)],
      ['processor each', us(recorded.cpuSeconds), us(delivered.cpuSeconds)],
      ['written to disk each', each(recorded.writtenBytes), each(delivered.writtenBytes)],
      ['database', bytes(databaseBytes), bytes(statSync(station.databaseFile).size)],
      ['most resident', '', bytes(Math.max(...resident))],
      ['growth from a tenth on', '', bytes(growth)],
    ],
    aims: [atMost('growth of memory while delivering', growth, aimedGrowthBytes, bytes)],
    notes: [
      `Recorded ${recordedAtOnce} to a transaction (synchronous=FULL), delivered through the usual window.`,
      'Processor and disk are those of the whole process; the disk counts what it hands to the kernel (/proc/self/io).',
    ],
    figures: {
      count,
      recorded,
      delivered,
      databaseBytes,
      residentBytes: resident.filter((_, at) => at % 10 === 0),
    },
  };
}

async function phase(work: () => Promise<void>): Promise<Phase> {
  const cpuBefore = ownCpuSeconds();
  const writtenBefore = writtenBytes();
  const since = systemClock.monotonic();
  await work();
  const cpu = ownCpuSeconds();
  return {
    seconds: (systemClock.monotonic() - since) / 1000,
    cpuSeconds: cpu.user + cpu.system - cpuBefore.user - cpuBefore.system,
    writtenBytes: writtenBytes() - writtenBefore,
  };
}

/** proc(5): bytes this process caused to be written to the storage layer. */
function writtenBytes(): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1] ?? Number.NaN);
}
