import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { systemClock } from '../../dock/host/system-clock.ts';
import { median, withSpread, type BenchOptions, type BenchReport } from '../bench/report.ts';
import { BenchStation } from './bench-station.ts';
import { startMosquitto } from './mosquitto.ts';

/**
 * Events as a busy station makes them: each committed alone, while those before it leave; until the last is
 * acknowledged and durably marked so. Next to the same commits with nobody to report to, whose limit is the disk.
 */
export async function benchLive(options: BenchOptions): Promise<BenchReport> {
  const count = options.isQuick ? 5000 : 30_000;
  const rounds = options.isQuick ? 3 : 5;
  const folder = join(options.folder, 'live');
  await using broker = await startMosquitto(join(folder, 'broker'));
  const reporting: number[] = [];
  const alone: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    options.say(`live: round ${round} of ${rounds}`);
    options.signal.throwIfAborted();
    const rate = await perSecond(join(folder, `${round}-reporting`), count, broker.url);
    const limit = await perSecond(join(folder, `${round}-alone`), count);
    // The first compiles the code.
    if (round === 0) continue;
    reporting.push(rate);
    alone.push(limit);
  }
  const ratios = reporting.map((rate, index) => rate / (alone[index] ?? Number.NaN));
  return {
    title: `Live: ${count} events, each committed alone while those before it leave, ${rounds} rounds, median`,
    head: ['COMMIT TO ACKNOWLEDGEMENT /s', 'COMMITS ALONE /s', 'RATIO'],
    right: [0, 1, 2],
    rows: [[median(reporting).toFixed(0), median(alone).toFixed(0), withSpread(ratios)]],
    aims: [],
    notes: [
      'Both with synchronous=FULL. A burst leaves half a second later, so that it leaves as one: the last is waited for.',
    ],
    figures: { reportingPerSecond: median(reporting), alonePerSecond: median(alone), ratio: median(ratios) },
  };
}

async function perSecond(folder: string, count: number, url?: string): Promise<number> {
  mkdirSync(folder, { recursive: true });
  await using station = new BenchStation(folder);
  if (url !== undefined) {
    station.start(url);
    while (!station.reporter?.state.isConnected) await systemClock.sleep(1);
  }
  const since = systemClock.monotonic();
  for (let from = 0; from < count; from++) {
    station.record(1, { from });
    await setImmediate();
  }
  while (url !== undefined && station.outbox.waiting().bytes > 0) await systemClock.sleep(5);
  return (count / (systemClock.monotonic() - since)) * 1000;
}
