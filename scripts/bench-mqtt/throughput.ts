import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import mqtt, { type MqttClient } from 'mqtt';
import { systemClock } from '../../dock/host/system-clock.ts';
import {
  atLeast,
  median,
  percent,
  withSpread,
  type BenchOptions,
  type BenchReport,
} from '../bench/report.ts';
import { ownCpuSeconds } from '../bench/process-status.ts';
import { BenchStation, benchTopics } from './bench-station.ts';
import { startMosquitto } from './mosquitto.ts';

const windows = [1, 10, 20] as const;
const aimedShare = 0.8;

interface Round {
  readonly perSecond: number;
  readonly cpuSeconds: number;
}

/**
 * Events from their commit to the acknowledgement of the broker that is durable in the outbox again, next to a bare
 * client that publishes the same payloads from memory to the same broker.
 */
export async function benchThroughput(options: BenchOptions): Promise<BenchReport> {
  const count = options.isQuick ? 5000 : 20_000;
  const rounds = options.isQuick ? 3 : 7;
  const folder = join(options.folder, 'throughput');
  await using broker = await startMosquitto(join(folder, 'broker'));
  const figures: { window: number; station: Round[]; bare: Round[]; ratios: number[] }[] = [];
  for (const window of windows) {
    const station: Round[] = [];
    const bare: Round[] = [];
    for (let round = 0; round <= rounds; round++) {
      options.say(`throughput: window ${window}, round ${round} of ${rounds}`);
      options.signal.throwIfAborted();
      const here = join(folder, `${window}-${round}`);
      mkdirSync(here, { recursive: true });
      const one = await stationRound({ url: broker.url, folder: here, window, count });
      const other = await bareRound({ url: broker.url, payloads: one.payloads, window });
      // The first compiles the code.
      if (round === 0) continue;
      station.push(one);
      bare.push(other);
    }
    const ratios = station.map(({ perSecond }, index) => perSecond / (bare[index]?.perSecond ?? Number.NaN));
    figures.push({ window, station, bare, ratios });
  }
  const perSecond = (rounds: readonly Round[]): number => median(rounds.map((each) => each.perSecond));
  const cpuUs = (all: readonly Round[]): number =>
    (median(all.map(({ cpuSeconds }) => cpuSeconds)) / count) * 1e6;
  return {
    title: `Throughput: ${count} events, ${rounds} rounds each, median`,
    head: ['WINDOW', 'STATION /s', 'BARE CLIENT /s', 'RATIO', 'STATION µs CPU', 'BARE µs CPU'],
    right: [0, 1, 2, 3, 4, 5],
    rows: figures.map(({ window, station, bare, ratios }) => [
      String(window),
      perSecond(station).toFixed(0),
      perSecond(bare).toFixed(0),
      withSpread(ratios),
      cpuUs(station).toFixed(1),
      cpuUs(bare).toFixed(1),
    ]),
    aims: figures.map(({ window, ratios }) => atLeast(`window ${window}`, median(ratios), aimedShare)),
    notes: [
      'Station: events committed before (synchronous=FULL); from the connection to the last acknowledgement durable.',
      'Bare client: the same mqtt library, the payloads made before, nothing kept.',
    ],
    figures: {
      windows: figures.map(({ window, station, bare, ratios }) => ({
        window,
        stationPerSecond: perSecond(station),
        barePerSecond: perSecond(bare),
        ratio: median(ratios),
        stationCpuMicrosecondsPerEvent: cpuUs(station),
        bareCpuMicrosecondsPerEvent: cpuUs(bare),
      })),
      shown: percent(median(figures.flatMap(({ ratios }) => ratios))),
    },
  };
}

interface StationTask {
  readonly url: string;
  readonly folder: string;
  readonly window: number;
  readonly count: number;
}

async function stationRound({
  url,
  folder,
  window,
  count,
}: StationTask): Promise<Round & { payloads: string[] }> {
  await using station = new BenchStation(folder);
  station.record(count, { atOnce: 1000 });
  const payloads = station.outbox
    .after(0, count)
    .map((event) => JSON.stringify(station.outbox.envelope(event)));
  station.start(url, window);
  while (!station.reporter?.state.isConnected) await systemClock.sleep(1);
  const since = systemClock.monotonic();
  const cpuSince = cpuSeconds();
  while (station.outbox.waiting().bytes > 0) await systemClock.sleep(10);
  return { ...roundOf(count, since, cpuSince), payloads };
}

async function bareRound({
  url,
  payloads,
  window,
}: {
  url: string;
  payloads: readonly string[];
  window: number;
}): Promise<Round> {
  const client = await mqtt.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
  (client.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
  try {
    const since = systemClock.monotonic();
    const cpuSince = cpuSeconds();
    await publishAll(client, payloads, window);
    return roundOf(payloads.length, since, cpuSince);
  } finally {
    await client.endAsync(true);
  }
}

function publishAll(client: MqttClient, payloads: readonly string[], window: number): Promise<void> {
  const topic = benchTopics.event('recording-stored');
  return new Promise((resolve, reject) => {
    let next = 0;
    let acknowledged = 0;
    const publish = (): void => {
      const payload = payloads[next++];
      if (payload === undefined) return;
      client.publish(
        topic,
        payload,
        { qos: 1, properties: { contentType: 'application/json', payloadFormatIndicator: true } },
        (error) => {
          if (error) reject(error);
          else if (++acknowledged === payloads.length) resolve();
          else publish();
        },
      );
    };
    for (let index = 0; index < window; index++) publish();
  });
}

function roundOf(count: number, since: number, cpuSince: number): Round {
  const seconds = (systemClock.monotonic() - since) / 1000;
  return { perSecond: count / seconds, cpuSeconds: cpuSeconds() - cpuSince };
}

function cpuSeconds(): number {
  const { user, system } = ownCpuSeconds();
  return user + system;
}
