import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { spawn } from '@lydell/node-pty';
import type { FleetSnapshot } from '../../agent/cli/fleet/fleet-snapshot.ts';
import { bytes } from '../../agent/cli/output.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { processMemory, threadsCpuSeconds } from '../bench/process-status.ts';
import { startHelper } from '../bench/helper-process.ts';
import { atMost, percent, type BenchOptions, type BenchReport } from '../bench/report.ts';
import type { FleetLoadMessage, FleetLoadTask } from './fleet-load.ts';
import type { FleetSubscriberMessage, FleetSubscriberTask } from './fleet-subscriber.ts';
import { startMosquitto } from './mosquitto.ts';

const aimedP99Ms = 1000;
const aimedMonitorBytes = 300 * 2 ** 20;
const dockctl = [join(import.meta.dirname, '..', '..', 'agent', 'cli', 'dockctl.ts'), 'fleet'];
const settleMs = 5000;

/** Thousands of stations on one broker, each one message a second; a subscriber, and the monitor with its live table. */
export async function benchFleet(options: BenchOptions): Promise<BenchReport> {
  const { signal, say, folder, isQuick } = options;
  const stations = isQuick ? 500 : 5000;
  const seconds = isQuick ? 10 : 60;
  await using broker = await startMosquitto(join(folder, 'fleet'));
  const task: FleetLoadTask = { port: broker.port, stations, bays: 4, cameras: 10, healthEvery: 30 };
  await using load = startHelper<FleetLoadMessage>('../bench-mqtt/fleet-load.ts', task);
  say(`fleet: connecting ${stations} stations`);
  const connected = await load.next();
  const subscribing: FleetSubscriberTask = { url: broker.url };
  await using subscriber = startHelper<FleetSubscriberMessage>(
    '../bench-mqtt/fleet-subscriber.ts',
    subscribing,
  );
  await subscriber.next();
  using monitor = liveMonitor(broker.url);
  load.tell('send');
  say('fleet: settling');
  await systemClock.sleep(settleMs, signal);

  subscriber.tell('begin');
  const processes = { broker: broker.pid, monitor: monitor.pid };
  const cpuBefore = { broker: threadsCpuSeconds(broker.pid), monitor: threadsCpuSeconds(monitor.pid) };
  const since = systemClock.monotonic();
  const most = { broker: 0, monitor: 0 };
  for (let second = 0; second < seconds; second++) {
    say(`fleet: ${second} of ${seconds} s`);
    await systemClock.sleep(1000, signal);
    for (const name of ['broker', 'monitor'] as const) {
      most[name] = Math.max(most[name], processMemory(processes[name]).residentBytes);
    }
  }
  const tookSeconds = (systemClock.monotonic() - since) / 1000;
  const cpu = {
    broker: (threadsCpuSeconds(broker.pid) - cpuBefore.broker) / tookSeconds,
    monitor: (threadsCpuSeconds(monitor.pid) - cpuBefore.monitor) / tookSeconds,
  };
  subscriber.tell('end');
  const heard = await subscriber.next();
  const behindMs = await latestBehind(load);
  const picture = await onePicture(broker.url);
  if (connected.kind !== 'connected' || heard.kind !== 'heard')
    throw new Error('a helper said something else');

  const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
  const perSecond = heard.events / tookSeconds;
  return {
    title: `Fleet: ${stations} stations, 1 message a second each, ${seconds} s`,
    head: ['WHAT', 'FIGURE'],
    right: [1],
    rows: [
      ['retained documents', `${connected.documents} (${bytes(connected.documentBytes)})`],
      ['events to the subscriber', `${perSecond.toFixed(0)} /s`],
      ['no event missing', heard.isWhole ? 'yes' : 'no'],
      ['event to subscriber, p50', ms(heard.p50Ms)],
      ['event to subscriber, p99', ms(heard.p99Ms)],
      ['event to subscriber, longest', ms(heard.maxMs)],
      ['broker, processor', percent(cpu.broker)],
      ['broker, most resident', bytes(most.broker)],
      ['monitor with its live table, processor', percent(cpu.monitor)],
      ['monitor with its live table, most resident', bytes(most.monitor)],
      ['stations in one picture', `${picture.stations} of ${stations}`],
      ['cameras in one picture', `${picture.cameras} of ${stations * task.cameras}`],
      ['load generator behind its schedule at the end', ms(behindMs)],
    ],
    aims: [
      atMost('p99 from event to subscriber', heard.p99Ms, aimedP99Ms, ms),
      atMost('memory of the monitor', most.monitor, aimedMonitorBytes, bytes),
    ],
    notes: [
      'Broker, load, subscriber and monitor share this machine; the load is one process of plain sockets.',
      'The monitor is dockctl fleet on a terminal of 200 × 50; one in 30 messages is a health document.',
    ],
    figures: {
      stations,
      ...connected,
      ...heard,
      eventsPerSecond: perSecond,
      cpuShare: cpu,
      residentBytes: most,
      picture,
      behindMs,
    },
  };
}

/** The real program on a terminal of its own. */
function liveMonitor(url: string): { readonly pid: number } & Disposable {
  const terminal = spawn(process.execPath, [...dockctl, '--broker', url], { cols: 200, rows: 50 });
  terminal.onData(() => undefined);
  return { pid: terminal.pid, [Symbol.dispose]: () => terminal.kill('SIGKILL') };
}

async function onePicture(url: string): Promise<{ stations: number; cameras: number }> {
  const { stdout } = await promisify(execFile)(process.execPath, [...dockctl, '--broker', url, '--json'], {
    maxBuffer: 2 ** 28,
  });
  const { totals } = JSON.parse(stdout) as FleetSnapshot;
  return { stations: totals.stations, cameras: totals.cameras };
}

async function latestBehind(load: { next(): Promise<FleetLoadMessage> }): Promise<number> {
  const message = await load.next();
  return message.kind === 'sent' ? message.behindMs : Number.NaN;
}
