// A technician has bays do something now, and sees that they do.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AskedBaysAnswer, AskedBaysUntilAnswer, BaysAnswer } from '../../agent/cli/answers.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { runDockctl, type DockctlOutcome } from '../support/dockctl.ts';
import { storeOf } from '../support/recordings.ts';
import { TestStation } from '../support/test-station.ts';

let station: TestStation;
beforeAll(async () => {
  station = await TestStation.start({ bays: 2 });
  const { store } = storeOf({ 'A.MP4': 1000 });
  station.plug(1, sampleCamera({ serialNumber: 'BC-1', store }, systemClock));
  await station.untilPhase(1, 'ready');
});
afterAll(() => station[Symbol.asyncDispose]());

const dockctl = (...args: readonly string[]): Promise<DockctlOutcome> =>
  runDockctl(station.folder, '--socket', station.agent.socketPath, ...args);

test('pull begins a session, in the bay of a camera or in all', async () => {
  const before = (await station.sessions()).length;
  expect(await dockctl('pull', '--camera', 'BC-1')).toMatchObject({
    code: 0,
    stdout: 'Begun: bay 1. See dockctl bays.\n',
  });
  await station.until('a session', async () => (await station.sessions()).length > before);
  const { stdout } = await dockctl('pull', '--json');
  expect(JSON.parse(stdout) as AskedBaysAnswer).toEqual({ bays: [1, 2] });
  const gone = await dockctl('pull', '--camera', 'BC-9');
  expect(gone.code).toBe(1);
  expect(gone.stderr).toMatch(/in no bay of this station: BC-9[\s\S]*camera\.not-docked/);
});

test('pause holds a bay until it is resumed, and names who asked', async () => {
  const paused = await dockctl('pause', '1', '--for', '90s', '--json');
  const { bays, until } = JSON.parse(paused.stdout) as AskedBaysUntilAnswer;
  expect(bays).toEqual([1]);
  expect(Date.parse(until) - Date.now()).toBeGreaterThan(60_000);
  await station.untilPhase(1, 'paused');
  expect((await dockctl('bays')).stdout).toMatch(/BC-1 +paused.*until 2/);
  expect((await dockctl('pull', '1')).stderr).toMatch(/bay\.paused/);
  expect((await dockctl('resume')).stdout).toBe('Resumed: bay 1.\n');
  await station.untilPhase(1, 'ready');
  expect((await dockctl('resume', '1')).stdout).toBe('No bay was paused.\n');
});

test('identify shows in the table of bays', async () => {
  expect((await dockctl('identify', '2', '--for', '1m')).stdout).toMatch(/^Shown until 2.*: bay 2\.\n$/);
  expect((await dockctl('bays')).stdout).toMatch(/^ +2 .*IDENTIFY/m);
  const { bays } = await station.ask<BaysAnswer>('bays');
  expect(bays.map(({ identifyUntil }) => identifyUntil !== undefined)).toEqual([false, true]);
});

test.each([
  [['pause', '0'], /a whole number from 1 to 999/],
  [['pause', '3'], /bay\.unknown/],
  [['pause', '--for', 'long'], /a time such as/],
  [['pause', '--for', '2d'], /forSeconds/],
])('%j is refused with what is wrong', async (args, said) => {
  const { code, stderr } = await dockctl(...args);
  expect(code).not.toBe(0);
  expect(stderr).toMatch(said);
});
