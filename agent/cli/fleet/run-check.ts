import { styleText } from 'node:util';
import type { BrokerOptions } from '../../report/broker-connection.ts';
import { MqttConnection } from '../../report/mqtt-connection.ts';
import { printable, table } from '../output.ts';
import { userName } from '../user-name.ts';
import { arrivalMs, FleetCheck, type CheckReport } from './fleet-check.ts';
import type { CheckFlags, FleetContext } from './fleet-commands.ts';
import { FleetFeed } from './fleet-feed.ts';
import { untilInterrupted } from './watch-fleet.ts';

const defaultMs = 60_000;
const tickMs = 200;
const requestsPerTick = 50;

/** Listens for the time or the events asked for. Errors: `fleet.broker-away` at the first connection, `fleet.forbidden`. */
export async function checkFleet(
  flags: CheckFlags,
  broker: Omit<BrokerOptions, 'clientId' | 'onMessage' | 'will'>,
  { output, clock, random }: FleetContext,
): Promise<CheckReport> {
  const { replay = false, acknowledge = false } = flags;
  const check = new FleetCheck(clock.now(), { replay, acknowledge });
  const feed = new FleetFeed({
    clock,
    random,
    openBroker: MqttConnection.open,
    broker,
    scope: flags,
    channels: ['status', 'health', 'event/+', ...(replay || acknowledge ? ['rsp/+'] : [])],
    onMessage: (message) => check.accept(message, clock.now()),
    onSubscribed: () => undefined,
  });
  using stop = untilInterrupted();
  const { signal } = stop;
  const fed = feed.run(signal, { mustBegin: true });
  let failure: unknown;
  const over = fed.catch((error: unknown) => {
    failure = error;
    stop.abort();
  });
  const forMs = flags.for ?? (flags.events === undefined ? defaultMs : Infinity);
  const by = `${userName().slice(0, 100)}, fleet check`;
  let deadline = clock.monotonic() + forMs;
  let isLast = false;
  while (!signal.aborted) {
    const isOver = clock.monotonic() >= deadline || (!isLast && check.events >= (flags.events ?? Infinity));
    if (isOver && isLast) break;
    if (isOver) {
      isLast = true;
      deadline = clock.monotonic() + arrivalMs;
    }
    // What was recorded and asked for last is still to come.
    if (isLast && !check.isAwaiting) break;
    const due = feed.state.kind === 'connected' && !isLast ? check.due(clock.now(), requestsPerTick) : [];
    for (const request of due) {
      const id = feed.newRequestId();
      check.asked(id, request);
      // Without an answer it is asked again.
      await feed.request(request.station.address, request, { id, by, signal }).catch(() => undefined);
    }
    output().progress(`${check.events} events of ${check.model.stations.size} stations`);
    await clock.sleep(tickMs, signal).catch(() => undefined);
  }
  output().progress('');
  stop.abort();
  await over;
  if (failure !== undefined) throw failure;
  return check.report(clock.now());
}

export function showCheck(report: CheckReport): string {
  const {
    from,
    to,
    wholeFrom,
    silent,
    stations,
    events,
    repeated,
    outOfOrder,
    filledByReplay,
    gaps,
    furtherGaps,
  } = report;
  const { notArrived, broken, requests, refusals, rejected, isProven } = report;
  const seconds = Math.round((Date.parse(to) - Date.parse(from)) / 1000);
  const name = (each: { department: string; post: string; station: string }): string =>
    `${each.department}/${each.post}/${each.station}`;
  const part = (title: string, head: string[], rows: string[][]): string[] =>
    rows.length === 0 ? [] : ['', styleText('bold', title), table(head, rows, [1, 2, 3])];
  const refused = Object.entries(rejected).filter(([, count]) => count > 0);
  return [
    isProven
      ? styleText('green', `Whole: no event of ${stations} stations is missing.`)
      : events === 0
        ? `No event was heard of ${stations} stations: nothing is proven.`
        : styleText('red', 'Not whole.'),
    `${events} events in ${seconds} s, ${repeated} repeated, ${outOfOrder} out of order, ${filledByReplay} came by replay`,
    `all stations heard since ${wholeFrom}${silent > 0 ? `, ${silent} said nothing` : ''}`,
    ...(['replay', 'acknowledge'] as const).flatMap((kind) => {
      const { sent, done, refused: no } = requests[kind];
      return sent === 0 ? [] : [`${kind}: ${sent} asked, ${done} done, ${no} refused`];
    }),
    ...refusals.map((text) => printable(text)),
    ...(refused.length > 0
      ? [`Messages not taken: ${refused.map(([why, count]) => `${count} ${why}`).join(', ')}`]
      : []),
    ...part(
      'MISSING',
      ['STATION', 'AFTER', 'UP TO'],
      gaps.map((gap) => [name(gap), String(gap.after), String(gap.upTo)]),
    ),
    ...(furtherGaps > 0 ? [`… and ${furtherGaps} more`] : []),
    ...part(
      'RECORDED AND NOT ARRIVED',
      ['STATION', 'HEARD UP TO', 'RECORDED UP TO', 'WAITING THERE'],
      notArrived.map((each) => [
        name(each),
        String(each.heardUpTo),
        String(each.recordedUpTo),
        String(each.waiting),
      ]),
    ),
    ...part(
      'NOT ONE SEQUENCE: TWO STATIONS UNDER ONE NAME, OR A LOST DATABASE',
      ['STATION', 'CONFLICTS', 'RESTARTS'],
      broken.map((each) => [name(each), String(each.conflicts), String(each.restarts)]),
    ),
  ].join('\n');
}
