import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { usualLimits, type OutboxLimits } from '../../agent/report/outbox-limits.ts';
import { Alarms } from '../../agent/report/alarms.ts';
import { OwnIdentity } from '../../agent/report/own-identity.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { Database } from '../../agent/state/database.ts';
import { systemRandom } from '../../dock/host/system-clock.ts';
import { stationTopics } from '../../protocol/mqtt/topics.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

// What waits for central monitoring is bounded: samples are dropped and counted, everything else only raises an alarm.

const dayMs = 24 * 3600 * 1000;
let folder: string;
let db: Database;
let clock: VirtualClock;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dock-backlog-'));
  db = new Database(join(folder, 'station.db'));
  clock = new VirtualClock();
});
afterEach(() => {
  db[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

const outboxWith = (limits: Partial<OutboxLimits>): Outbox =>
  new Outbox(db, clock, systemRandom, { ...usualLimits, ...limits });
const sample = (outbox: Outbox): void => outbox.record('station-sampled', { waitingEvents: 0 });
const must = (outbox: Outbox): void => outbox.record('agent-stopping', {});
const seqs = (outbox: Outbox): number[] => outbox.after(0, 1000).map(({ seq }) => seq);

test('of too many waiting samples the oldest are dropped and counted, and what follows names its true predecessor', () => {
  const outbox = outboxWith({ mostSamples: 2 });
  must(outbox);
  for (let count = 0; count < 4; count++) sample(outbox);
  must(outbox);
  expect(seqs(outbox)).toEqual([1, 4, 5, 6]);
  expect(outbox.droppedSamples()).toBe(2);
  const sent = outbox.outgoing(0, 10).map(({ payload }) => JSON.parse(payload) as { previousSeq: number });
  expect(sent.map(({ previousSeq }) => previousSeq)).toEqual([0, 1, 4, 5]);
  expect(outboxWith({}).droppedSamples()).toBe(2);
});

test('a sample that may be on its way is not dropped, until the connection it was given to is over', () => {
  const outbox = outboxWith({ mostSamples: 1 });
  sample(outbox);
  outbox.outgoing(0, 10);
  sample(outbox);
  expect(seqs(outbox)).toEqual([1, 2]);
  outbox.takeBack();
  sample(outbox);
  expect(seqs(outbox)).toEqual([3]);
});

test('counts what waits, however far apart its numbers are', () => {
  const outbox = outboxWith({ mostEvents: 10 });
  for (let count = 0; count < 3; count++) must(outbox);
  // As after a recovery of the database.
  db.run("UPDATE sqlite_sequence SET seq = 1700000000 WHERE name = 'event'");
  must(outbox);
  expect(outbox.depth()).toBe(4);
  expect(outbox.backlog()).toBe('ok');
});

test('samples that the broker has and no consumer took are dropped as well', () => {
  const outbox = outboxWith({ mostSamples: 2, receipt: 'consumer' });
  for (let count = 0; count < 2; count++) sample(outbox);
  outbox.outgoing(0, 10);
  outbox.acknowledgeRange(1, 1);
  for (let count = 0; count < 2; count++) sample(outbox);
  expect(seqs(outbox)).toEqual([2, 4]);
});

test('is full at its limit and overfull a quarter above it, and stays full until it is drained', () => {
  const outbox = outboxWith({ mostEvents: 10 });
  for (let count = 0; count < 9; count++) must(outbox);
  expect(outbox.backlog()).toBe('ok');
  must(outbox);
  expect(outbox.backlog()).toBe('full');
  for (let count = 0; count < 3; count++) must(outbox);
  expect(outbox.backlog()).toBe('overfull');
  outbox.acknowledgeRange(1, 5);
  expect(outbox.backlog()).toBe('full');
  outbox.acknowledgeRange(6, 6);
  expect(outbox.backlog()).toBe('ok');
});

test('is full by bytes and by age too, but not by the age of what was recorded under a wrong clock', () => {
  must(outboxWith({}));
  expect(outboxWith({ mostBytes: 1 }).backlog()).toBe('overfull');
  const byAge = outboxWith({ mostAgeMs: dayMs });
  db.run('UPDATE event SET at = ?', Math.floor(clock.now()) - 2 * dayMs);
  expect(byAge.backlog()).toBe('full');
  db.run('UPDATE event SET at = 5000');
  expect(outboxWith({ mostAgeMs: dayMs }).backlog()).toBe('ok');
});

test('with receipts of a consumer the broker only moves the cursor, and only what was sent can be received', () => {
  const outbox = outboxWith({ receipt: 'consumer' });
  for (let count = 0; count < 5; count++) must(outbox);
  outbox.acknowledgeRange(1, 3);
  expect(outbox.depth()).toBe(5);
  expect(outbox.outgoing(0, 10).map(({ seq }) => seq)).toEqual([4, 5]);
  expect(outbox.received(2)).toBe(2);
  expect(outbox.received(1000)).toBe(3);
  expect(outbox.depth()).toBe(2);
  expect(
    outboxWith({ receipt: 'consumer' })
      .outgoing(0, 10)
      .map(({ seq }) => seq),
  ).toEqual([4, 5]);
});

test('an alarm is raised once, also over restarts, and cleared once', () => {
  const outbox = outboxWith({});
  const problem = { level: 'critical', code: 'report.backlog', subject: '', detail: 'x' } as const;
  const settle = (problems: (typeof problem)[]): void =>
    new Alarms({ db, outbox, clock }).settle(problems, () => true);
  settle([problem]);
  settle([problem]);
  expect(new Alarms({ db, outbox, clock }).document('report.backlog')).toMatchObject({ level: 'critical' });
  settle([]);
  settle([]);
  expect(outbox.latest(10).map(({ type }) => type)).toEqual(['alarm-raised', 'alarm-cleared']);
});

test('another run that speaks later under the same name is a twin; an earlier one that the broker dug out is not', () => {
  const topics = stationTopics({ department: 'd', post: 'p', station: 's' });
  const identity = new OwnIdentity('me', topics, clock);
  const hear = identity.beginConnection(7);
  const say = (instance: string, session: number, ts: number): void =>
    hear({
      topic: topics.status,
      isRetained: true,
      payload: Buffer.from(JSON.stringify({ instance, session, ts: new Date(ts).toISOString() })),
    });
  const codes = (): string[] => identity.problems().map(({ code }) => code);
  say('before', 6, clock.now() - 1000);
  identity.connected();
  identity.published();
  say('me', 7, clock.now());
  say('before', 6, clock.now() - 1000);
  hear({ topic: topics.status, isRetained: true, payload: Buffer.from('{"instance":7') });
  expect(codes()).toEqual([]);
  say('twin', 8, clock.now());
  expect(codes()).toEqual(['broker.identity-taken']);
});

test('an earlier run is no twin because the clock was set since', () => {
  const topics = stationTopics({ department: 'd', post: 'p', station: 's' });
  const setAt = clock.now();
  clock.step(-setAt);
  const identity = new OwnIdentity('me', topics, clock);
  const hear = identity.beginConnection(7);
  identity.connected();
  identity.published();
  clock.pass(60_000);
  clock.step(setAt);
  const status = { instance: 'before', session: 6, ts: new Date(setAt - 3_600_000).toISOString() };
  hear({ topic: topics.status, isRetained: true, payload: Buffer.from(JSON.stringify(status)) });
  expect(identity.problems().map(({ code }) => code)).not.toContain('broker.identity-taken');
});
