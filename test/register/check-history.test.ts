// A checker that sees nothing proves nothing: hand-made histories, one for each thing that may go wrong; and a short run
// of the real one (npm run test:register for more).
import { expect, test } from 'vitest';
import { checkHistory, type LoggedDecision, type Operation } from './check-history.ts';
import { RegisterCluster } from './register-cluster.ts';
import { runHistory } from './run-history.ts';

let seed = 1;

const enrolled = (serialNumber: string, startedAt: number): Operation => ({
  id: `enrol ${serialNumber}`,
  kind: 'enrol',
  serialNumber,
  startedAt,
  endedAt: startedAt + 1,
  outcome: 'enrolled',
});
const retired = (serialNumber: string, startedAt: number): Operation => ({
  ...enrolled(serialNumber, startedAt),
  id: `retire ${serialNumber}`,
  kind: 'retire',
  outcome: 'retired',
});
const logged = ({ id, serialNumber, outcome }: Operation, enrolledBefore: number): LoggedDecision => ({
  requestId: id,
  serialNumber,
  decision: outcome,
  enrolledBefore,
});

const [a, b, gone] = [enrolled('A', 0), enrolled('B', 20), retired('A', 10)];
const right = {
  quota: 1,
  operations: [a, gone, b],
  decisions: [logged(a, 0), logged(gone, 1), logged(b, 0)],
  enrolledAtEnd: ['B'],
};

test('a right history is right', () => {
  expect(checkHistory(right)).toEqual([]);
});

test('a retirement whose station died may come long after it was asked for', () => {
  const late: Operation = { ...retired('A', -10), outcome: 'unknown' };
  const decisions = [logged(a, 0), { ...logged(gone, 1), requestId: late.id }, logged(b, 0)];
  expect(checkHistory({ ...right, operations: [late, a, b], decisions })).toEqual([]);
});

test.each([
  [
    'a camera too many by what clients were told',
    { ...right, operations: [a, b, { ...gone, startedAt: 30, endedAt: 31 }] },
    /told to be enrolled/,
  ],
  ['a camera too many by the log', { ...right, quota: 0 }, /1 of 0 are enrolled/],
  [
    'a count that is not true',
    { ...right, decisions: [logged(a, 1), logged(gone, 1), logged(b, 0)] },
    /counted 1/,
  ],
  [
    'a lost enrolment',
    { ...right, decisions: [logged(a, 0), logged(gone, 1)], enrolledAtEnd: [] },
    /is lost/,
  ],
  ['a request done twice', { ...right, decisions: [...right.decisions, logged(b, 1)] }, /done twice/],
  ['a request of nobody', { ...right, operations: [a, gone] }, /nobody asked/],
  ['an end that does not follow', { ...right, enrolledAtEnd: ['A', 'B'] }, /the log leaves/],
])('%s is seen', (_, history, says) => {
  expect(checkHistory(history).join('\n')).toMatch(says);
});

test('stations over bad lines, with a restart and a failover of the server, keep the quota and lose nothing', async () => {
  await using cluster = await RegisterCluster.start(4, undefined);
  for (const disturb of [() => cluster.restart(), () => cluster.failOver(), () => cluster.restart()]) {
    const histories = [0, 1, 2, 3].map((slot) => runHistory(seed++, slot, cluster));
    await disturb();
    for (const { wrong } of await Promise.all(histories)) expect(wrong).toEqual([]);
  }
}, 120_000);
