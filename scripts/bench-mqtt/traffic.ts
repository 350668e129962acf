import { join } from 'node:path';
import { bytes } from '../../agent/cli/output.ts';
import { systemHealthSources } from '../../agent/health/station-health.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { TcpProxy } from '../../test/report/tcp-proxy.ts';
import { storeOf } from '../../test/support/recordings.ts';
import { TestStation } from '../../test/support/test-station.ts';
import type { BenchOptions, BenchReport } from '../bench/report.ts';
import { startMosquitto } from './mosquitto.ts';

/** What a day is taken for: ten cameras that dock once each, eight recordings on each. */
const camerasADay = 10;
const recordingsEach = 8;
const secondsADay = 86_400;
const quietMs = 3000;
const withinMs = 60_000;

/** Bytes between a real station and its broker, measured on the wire; a day is put together from them. */
export async function benchTraffic(options: BenchOptions): Promise<BenchReport> {
  await using broker = await startMosquitto(join(options.folder, 'traffic'));
  await using proxy = await TcpProxy.to(broker.port);
  options.say('traffic: one station, one camera');
  const total = (): number => proxy.bytes.out + proxy.bytes.in;
  await using station = await TestStation.start({
    config: { broker: { url: proxy.url } },
    host: { healthSources: systemHealthSources },
  });
  const connection = await quiet(total);
  const files = Array.from({ length: recordingsEach }, (_, index) => [`REC${index}.MP4`, 1000] as const);
  const { store } = storeOf(Object.fromEntries(files));
  station.plug(1, sampleCamera({ serialNumber: 'BC-100482', store }, systemClock));
  await station.untilPhase(1, 'ready');
  await station.unplug(1);
  const session = (await quiet(total)) - connection;

  const restSeconds = options.isQuick ? 70 : 300;
  options.say(`traffic: ${restSeconds} s at rest`);
  const before = total();
  const since = systemClock.monotonic();
  await systemClock.sleep(restSeconds * 1000, options.signal);
  const restPerSecond = ((total() - before) * 1000) / (systemClock.monotonic() - since);
  const day = connection + camerasADay * session + secondsADay * restPerSecond;
  return {
    title: 'Traffic of a station',
    head: ['WHAT', 'BYTES'],
    right: [1],
    rows: [
      ['connecting, all documents', bytes(connection)],
      [`one docking session with ${recordingsEach} recordings`, bytes(session)],
      [`a day at rest (from ${restSeconds} s): health, keep-alive`, bytes(secondsADay * restPerSecond)],
      [`a day with ${camerasADay} such sessions and one connection`, bytes(day)],
    ],
    aims: [],
    notes: ['Both ways, as bytes of TCP payload; without TLS, TCP and IP.'],
    figures: {
      connectionBytes: connection,
      sessionBytes: session,
      restBytesPerSecond: restPerSecond,
      dayBytes: day,
    },
  };
}

/** The count once it has not changed for a while. */
async function quiet(count: () => number): Promise<number> {
  const deadline = systemClock.monotonic() + withinMs;
  for (let last = -1; systemClock.monotonic() < deadline;) {
    const now = count();
    if (now === last) return now;
    last = now;
    await systemClock.sleep(quietMs);
  }
  throw new Error('the station never stops talking');
}
