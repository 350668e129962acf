import { constants } from 'node:os';
import { styleText } from 'node:util';
import { createLogUpdate } from 'log-update';
import { DockError } from '../../../protocol/errors.ts';
import type { BrokerOptions } from '../../report/broker-connection.ts';
import { MqttConnection } from '../../report/mqtt-connection.ts';
import { printable } from '../output.ts';
import type { FleetContext, FleetFlags } from './fleet-commands.ts';
import { FleetFeed, type FeedState } from './fleet-feed.ts';
import { FleetModel, type FleetChange } from './fleet-model.ts';
import { fleetSnapshot, type FleetBounds, type FleetFilter, type FleetSnapshot } from './fleet-snapshot.ts';
import { fleetText } from './fleet-text.ts';

const refreshMs = 1000;
const lookMs = 50;
/** A broker that never stops sending what is retained does not keep a picture from being shown. */
const longestSettleMs = 60_000;

/**
 * The live table, one picture, or a line for each change, as `flags` and the terminal have it. Ends by itself only
 * with one picture. Errors: `fleet.broker-away`, `fleet.forbidden`.
 */
export async function watchFleet(
  flags: FleetFlags,
  broker: Omit<BrokerOptions, 'clientId' | 'onMessage' | 'will'>,
  { output, clock, random }: FleetContext,
): Promise<void> {
  const model = new FleetModel();
  const retained = { lastAt: clock.monotonic() };
  const isFollowing = flags.follow === true;
  const isOneShot = !isFollowing && (flags.once === true || output().isJson || !process.stdout.isTTY);
  const feed = new FleetFeed({
    clock,
    random,
    openBroker: MqttConnection.open,
    broker,
    scope: flags,
    channels: ['status', 'health', 'quota', 'bay/+', 'camera/+', 'alarm/+', 'event/+'],
    onMessage: (message) => {
      if (message.isRetained) retained.lastAt = clock.monotonic();
      const change = model.accept(message, clock.now());
      if (isFollowing && change) tell(change);
    },
    onSubscribed: () => {
      retained.lastAt = clock.monotonic();
      model.subscribedAnew();
    },
  });
  const look = (): FleetSnapshot => fleetSnapshot(model, clock.now(), bounds(flags), filter(flags));
  const tell = (change: FleetChange): void => {
    const line = changeLine(change, clock.now());
    if (line) output().item(line, changeText);
  };

  using stop = untilInterrupted();
  const { signal } = stop;
  const fed = feed.run(signal, { mustBegin: isOneShot });
  if (isFollowing) return await fed;
  if (isOneShot) {
    await Promise.race([fed, settled()]);
    stop.abort();
    await fed;
    output().result(look(), (snapshot) => fleetText(snapshot, { title: title(broker.url, feed.state) }));
    return;
  }
  const screen = createLogUpdate(process.stdout);
  let failure: unknown;
  void fed.catch((error: unknown) => {
    failure = error;
    stop.abort();
  });
  while (!signal.aborted) {
    const { rows, columns } = process.stdout;
    const text = fleetText(look(), {
      title: title(broker.url, feed.state),
      // A terminal that does not know its size says 0.
      maxLines: (rows || 24) - 1,
      maxColumns: columns || 80,
    });
    screen(text);
    await clock.sleep(refreshMs, signal).catch(() => undefined);
  }
  screen.done();
  if (failure !== undefined) throw failure;
  await fed;

  async function settled(): Promise<void> {
    const deadline = clock.monotonic() + longestSettleMs;
    const isSettled = (): boolean =>
      feed.state.kind === 'connected' && clock.monotonic() - retained.lastAt >= flags.settle;
    while (!isSettled() && clock.monotonic() < deadline && !signal.aborted) {
      await clock.sleep(lookMs, signal).catch(() => undefined);
    }
  }
}

/** Ctrl-C ends it in good order, whoever listens to the broker included. */
export function untilInterrupted(): { readonly signal: AbortSignal; abort(): void } & Disposable {
  const controller = new AbortController();
  const abort = (): void => controller.abort(new DockError('fleet.broker-away', 'interrupted'));
  const onSignal = (name: NodeJS.Signals): void => {
    process.exitCode = 128 + constants.signals[name];
    abort();
  };
  // Not once: what restores the cursor ends the process at once when it is the only one that listens.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal);
  return {
    signal: controller.signal,
    abort,
    [Symbol.dispose]: () => {
      abort();
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal);
    },
  };
}

function bounds({ overdueAfter, clockLimit, silentAfter }: FleetFlags): FleetBounds {
  return { overdueAfterMs: overdueAfter, clockLimitMs: clockLimit, silentAfterMs: silentAfter };
}

function filter({ department, post, station, state, alarm }: FleetFlags): FleetFilter {
  return {
    ...(department !== undefined && { department }),
    ...(post !== undefined && { post }),
    ...(station !== undefined && { station }),
    ...(state !== undefined && { states: state }),
    ...(alarm !== undefined && { alarm }),
  };
}

function title(url: string, state: FeedState): string {
  const name = styleText('bold', `Docking stations at ${printable(url)}`);
  if (state.kind === 'connected') return `${name}, MQTT ${state.protocolVersion === 5 ? '5' : '3.1.1'}`;
  if (state.kind === 'connecting') return `${name}: connecting`;
  return `${name}: ${styleText('red', printable(state.problem))}; trying again, what is shown is from before`;
}

interface ChangeLine {
  readonly at: string;
  readonly station: string;
  readonly what: string;
  readonly detail: string;
}

function changeLine(change: FleetChange, now: number): ChangeLine | undefined {
  const { department, post, station } = change.station.address;
  const line = (what: string, detail: string): ChangeLine => ({
    at: new Date(now).toISOString(),
    station: `${department}/${post}/${station}`,
    what,
    detail,
  });
  switch (change.kind) {
    case 'status':
      return line(change.status.state, change.status.reason);
    case 'alarm-raised':
      return line(
        'alarm',
        `${change.alarm.level} ${change.alarm.code}: ${change.alarm.meaning} ${change.alarm.detail}`,
      );
    case 'alarm-cleared':
      return line('alarm cleared', change.code);
    case 'event': {
      if (!['gap', 'conflict', 'restarted'].includes(change.heard)) return undefined;
      return line('events', `${change.heard} before ${change.station.events.last}`);
    }
    case 'response':
      return undefined;
  }
}

function changeText({ at, station, what, detail }: ChangeLine): string {
  return [at, station, what, detail].map(printable).join('  ').trimEnd();
}
