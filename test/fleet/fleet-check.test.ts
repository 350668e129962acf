import { describe, expect, test } from 'vitest';
import { arrivalMs, FleetCheck, type CheckReport } from '../../agent/cli/fleet/fleet-check.ts';
import type { FleetMessage } from '../../agent/cli/fleet/fleet-model.ts';
import { eventId, live, startAt, StationMessages } from './messages.ts';

// The check says "whole" only when it is: each way in which it is not has a test, and so has what looks like one.

const station = new StationMessages();
const asks = { replay: false, acknowledge: false };

function checked(...messages: FleetMessage[]): CheckReport {
  const check = new FleetCheck(startAt, asks);
  for (const message of messages) check.accept(message, startAt);
  return check.report(startAt + 60_000);
}

const answer = (id: string, status: 'ok' | 'error'): FleetMessage => {
  const head = { v: 1, ts: new Date(startAt).toISOString(), seq: 1 };
  const error = { code: 'command.unsupported', message: 'no', nextStep: 'none' };
  const body = { ...head, id, command: 'replay', status, ...(status === 'error' && { error }) };
  return {
    topic: station.topics.response('replay'),
    payload: Buffer.from(JSON.stringify(body)),
    isRetained: false,
  };
};

describe('a check', () => {
  test('proves sequences without a gap, duplicates and dropped samples included', () => {
    const other = new StationMessages('s2');
    const report = checked(
      station.event(5),
      station.event(6),
      station.event(6),
      other.event(1),
      station.event(9, { previousSeq: 6 }),
      other.event(2),
    );
    expect(report).toMatchObject({ isProven: true, events: 5, repeated: 1, stations: 2, gaps: [] });
  });

  test('proves nothing where nothing was heard', () => {
    expect(checked(station.status()).isProven).toBe(false);
  });

  test('names the events that are missing, and their station', () => {
    const report = checked(station.event(5), station.event(8));
    expect(report.isProven).toBe(false);
    expect(report.gaps).toEqual([
      { department: 'almaty', post: 'kordai', station: 's1', after: 5, upTo: 7, before: 8 },
    ]);
  });

  test('finds events out of order, also when in the end all are there', () => {
    const report = checked(station.event(1), station.event(3), station.event(2));
    expect(report).toMatchObject({ isProven: false, gaps: [], outOfOrder: 1 });
  });

  test('finds two stations under one name, and a sequence that began again', () => {
    expect(checked(station.event(1), station.event(1, { id: eventId(1, 7) }))).toMatchObject({
      isProven: false,
      broken: [{ conflicts: 1, restarts: 0 }],
    });
    expect(checked(station.event(50), station.event(1, { id: eventId(60), previousSeq: 0 }))).toMatchObject({
      isProven: false,
      broken: [{ conflicts: 0, restarts: 1 }],
    });
  });

  test('finds what the station says it recorded and what did not come, however late it says so', () => {
    const check = new FleetCheck(startAt, asks);
    check.accept(live(station.health({ lastEventSeq: 4 })), startAt);
    check.accept(station.event(5), startAt);
    check.accept(live(station.health({ lastEventSeq: 7, waitingEvents: 2 })), startAt);
    expect(check.isAwaiting).toBe(true);
    expect(check.report(startAt)).toMatchObject({
      isProven: false,
      notArrived: [{ station: 's1', heardUpTo: 5, recordedUpTo: 7, waiting: 2 }],
    });
    check.accept(station.event(6), startAt);
    check.accept(station.event(7), startAt);
    expect(check.isAwaiting).toBe(false);
    expect(check.report(startAt).isProven).toBe(true);
  });

  test('says since when it hears all stations, and how many say nothing', () => {
    const check = new FleetCheck(startAt, asks);
    const [late, mute] = [new StationMessages('late'), new StationMessages('mute')];
    for (const one of [station, late, mute]) check.accept(one.status(), startAt);
    check.accept(station.event(1), startAt + 1000);
    check.accept(live(late.health({ lastEventSeq: 9 })), startAt + 40_000);
    expect(check.report(startAt + 60_000)).toMatchObject({
      isProven: true,
      wholeFrom: new Date(startAt + 40_000).toISOString(),
      silent: 1,
    });
  });

  test('does not expect what a station recorded before it was heard', () => {
    const check = new FleetCheck(startAt, asks);
    check.accept(station.status({ lastEventSeq: 90 }), startAt);
    check.accept(live(station.health({ lastEventSeq: 99 })), startAt);
    check.due(startAt, 10);
    check.accept(station.event(100), startAt);
    check.due(startAt, 10);
    expect(check.report(startAt + arrivalMs).isProven).toBe(true);
  });

  test('asks for a gap to be replayed once it has lasted, and is satisfied when it is filled', () => {
    const check = new FleetCheck(startAt, { replay: true, acknowledge: false });
    for (const seq of [1, 4, 5, 9]) check.accept(station.event(seq), startAt);
    expect(check.due(startAt, 10)).toEqual([]);
    const [request, ...others] = check.due(startAt + 10_000, 10);
    expect(request).toMatchObject({ name: 'replay', args: { fromSeq: 2, limit: 7 } });
    expect(others).toEqual([]);
    if (!request) throw new Error('nothing was asked');
    check.asked('request-1', request);
    for (const seq of [2, 3, 4, 5, 6, 7, 8]) check.accept(station.event(seq, { historical: true }), startAt);
    check.accept(answer('request-1', 'ok'), startAt);
    expect(check.report(startAt + 20_000)).toMatchObject({
      isProven: true,
      filledByReplay: 5,
      outOfOrder: 0,
      requests: { replay: { sent: 1, done: 1 } },
    });
  });

  test('acknowledges no further than it has heard everything', () => {
    const check = new FleetCheck(startAt, { replay: false, acknowledge: true });
    for (const seq of [3, 4, 6]) check.accept(station.event(seq), startAt);
    expect(check.due(startAt, 10)).toMatchObject([{ name: 'acknowledge', args: { uptoSeq: 4 } }]);
  });

  test('is not proven by acknowledgements that a station refused or never answered', () => {
    const check = new FleetCheck(startAt, { replay: false, acknowledge: true });
    check.accept(station.event(1), startAt);
    const [request] = check.due(startAt, 10);
    if (!request) throw new Error('nothing was asked');
    check.asked('request-1', request);
    expect(check.report(startAt).isProven).toBe(false);
    check.accept(answer('request-1', 'error'), startAt);
    expect(check.report(startAt)).toMatchObject({
      isProven: false,
      refusals: ['almaty/kordai/s1 acknowledge: command.unsupported'],
    });
    check.asked('request-2', request);
    check.accept(answer('request-2', 'ok'), startAt);
    expect(check.due(startAt + 60_000, 10)).toEqual([]);
  });

  test('takes no answer from another station', () => {
    const check = new FleetCheck(startAt, { replay: false, acknowledge: true });
    check.accept(station.event(1), startAt);
    const [request] = check.due(startAt, 10);
    if (!request) throw new Error('nothing was asked');
    check.asked('request-1', request);
    const forged = new StationMessages('s2').topics.response('acknowledge');
    check.accept({ ...answer('request-1', 'ok'), topic: forged }, startAt);
    expect(check.report(startAt).requests.acknowledge.done).toBe(0);
  });
});
