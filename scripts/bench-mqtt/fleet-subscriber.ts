import { MqttConnection } from '../../agent/report/mqtt-connection.ts';
import { FleetCheck } from '../../agent/cli/fleet/fleet-check.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { helperTask, sendToBench } from '../bench/helper-process.ts';

/** An ordinary subscriber to all events: how long each took to come, and whether any is missing. */
export interface FleetSubscriberTask {
  readonly url: string;
}

export type FleetSubscriberMessage =
  | { readonly kind: 'subscribed' }
  | {
      readonly kind: 'heard';
      readonly events: number;
      readonly p50Ms: number;
      readonly p99Ms: number;
      readonly maxMs: number;
      readonly isWhole: boolean;
    };

const { url } = helperTask<FleetSubscriberTask>();
const signal = new AbortController().signal;
const check = new FleetCheck(systemClock.now(), { replay: false, acknowledge: false });
let delaysMs: number[] = [];
const connection = await MqttConnection.open(
  {
    url,
    clientId: 'bench-subscriber',
    onMessage: (message) => {
      const now = performance.timeOrigin + performance.now();
      check.accept(message, now);
      const sentAtMs = /"sentAtMs":([\d.]+)/.exec(Buffer.from(message.payload).toString('latin1'))?.[1];
      if (sentAtMs !== undefined) delaysMs.push(now - Number(sentAtMs));
    },
  },
  systemClock,
  signal,
);
await connection.subscribe(['dock/v1/+/+/+/event/+'], { signal });
sendToBench({ kind: 'subscribed' } satisfies FleetSubscriberMessage);
process.on('message', (what) => {
  if (what === 'begin') {
    delaysMs = [];
    return;
  }
  const sorted = Float64Array.from(delaysMs).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  sendToBench({
    kind: 'heard',
    events: sorted.length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
    isWhole: check.report(systemClock.now()).isProven,
  } satisfies FleetSubscriberMessage);
});
