// What a bay makes of cameras that come and go, of devices that do not work, and of strangers.
import { expect, test, vi } from 'vitest';
import type { BayContent } from '../../dock/bay/bay-content.ts';
import { DockError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { AgentHost } from '../../agent/agent-host.ts';
import type { FaultsAnswer } from '../../agent/cli/answers.ts';
import { blame } from '../../agent/session/fault-log.ts';
import { FailureLadder } from '../../agent/session/failure-ladder.ts';
import { FaultDatabase } from '../support/fault-database.ts';
import { quickBay, quickCamera } from '../support/quick-bay.ts';
import { storeOf } from '../support/recordings.ts';
import { TestStation } from '../support/test-station.ts';

const pace = { presence_ms: 100, retry_ms: 300 };

function failing(code: ErrorCode): () => Promise<BayContent> {
  return () => Promise.reject(new DockError(code, 'scripted'));
}

async function eventsOf(station: TestStation, ...types: string[]) {
  return (await station.events()).filter(({ type }) => types.includes(type));
}

test('a camera that loses contact and comes back in time was docked once', async () => {
  await using station = await TestStation.start({
    host: { lookIntoBay: quickBay },
    config: { session: { ...pace, reseat_ms: 20_000 } },
  });
  const held = storeOf({ 'A.MP4': 5000 });
  const camera = quickCamera({ serialNumber: 'BC-1', store: held.store });
  station.plug(1, camera);
  await station.untilPhase(1, 'ready');
  await station.unplug(1);
  expect(await station.untilPhase(1, 'identifying')).toMatchObject({ detail: 'BC-1 is out of reach' });
  station.plug(1, camera);
  await station.untilPhase(1, 'ready');
  const types = (await eventsOf(station, 'camera-docked', 'camera-undocked')).map(({ type }) => type);
  expect(types).toEqual(['camera-docked']);
});

test('a docking is reported once, and so is its end, when the database fails in between', async () => {
  let db: FaultDatabase | undefined;
  let failures = 2; // a commit in the middle of the session, and the one of its account
  const failNow = (): void => {
    const before = (): void => {
      if (failures-- > 0) throw new DockError('vault.disk-error', 'scripted');
    };
    if (db) db.plan = { before };
  };
  const lookIntoBay: AgentHost['lookIntoBay'] = async (bay, signal) => {
    const content = await quickBay(bay, signal);
    if (content.kind !== 'camera') return content;
    const list = content.camera.recordings.bind(content.camera);
    const recordings: typeof list = (stop) => {
      failNow();
      return list(stop);
    };
    return { kind: 'camera', camera: Object.assign(content.camera, { recordings }) };
  };
  await using station = await TestStation.start({
    host: { lookIntoBay, openDatabase: (path) => (db = new FaultDatabase(path)) },
    config: { session: { ...pace, reseat_ms: 0 } },
  });
  station.plug(1, quickCamera({ serialNumber: 'BC-1', store: storeOf({ 'A.MP4': 5000 }).store }));
  await station.untilPhase(1, 'ready');
  expect(failures).toBeLessThanOrEqual(0);
  failures = 1;
  await station.unplug(1);
  await station.untilPhase(1, 'empty');
  expect(failures).toBeLessThanOrEqual(0);
  const types = (await eventsOf(station, 'camera-docked', 'camera-undocked')).map(({ type }) => type);
  expect(types).toEqual(['camera-docked', 'camera-undocked']);
});

test('an impostor that is taken out while it is found out is no problem of the empty bay', async () => {
  const lookIntoBay: AgentHost['lookIntoBay'] = async (bay, signal) => {
    const content = await quickBay(bay, signal);
    const answer = content.kind === 'camera' && content.camera.challenge?.bind(content.camera);
    if (!answer) return content;
    const challenge: typeof answer = async (nonce, stop) => {
      const signature = await answer(nonce, stop);
      await station.unplug(1);
      return signature;
    };
    return { kind: 'camera', camera: Object.assign(content.camera, { challenge }) };
  };
  await using station = await TestStation.start({ host: { lookIntoBay }, config: { session: pace } });
  const { store } = storeOf({});
  station.plug(1, quickCamera({ serialNumber: 'BC-1', store, faults: { impostorKey: true } }));
  await station.until('undocked', async () => (await eventsOf(station, 'camera-undocked')).length > 0);
  await station.untilPhase(1, 'empty');
  expect(await eventsOf(station, 'session-finished', 'camera-unusable')).toMatchObject([
    { type: 'session-finished', data: { outcome: 'interrupted', code: 'camera.impostor' } },
  ]);
});

test('a camera that does not come back in time was taken, and another is its own guest', async () => {
  await using station = await TestStation.start({
    host: { lookIntoBay: quickBay },
    config: { session: { ...pace, reseat_ms: 20_000 } },
  });
  station.plug(1, quickCamera({ serialNumber: 'BC-1', store: storeOf({}).store }));
  await station.untilPhase(1, 'ready');
  await station.unplug(1);
  await station.untilPhase(1, 'identifying');
  station.plug(1, quickCamera({ serialNumber: 'BC-2', store: storeOf({}).store }));
  await station.untilPhase(1, 'ready');
  const told = (await eventsOf(station, 'camera-docked', 'camera-undocked')).map(
    ({ type, data }) => `${type} ${(data as { serialNumber: string }).serialNumber}`,
  );
  expect(told).toEqual(['camera-docked BC-1', 'camera-undocked BC-1', 'camera-docked BC-2']);
});

test('a camera that moved to another bay is served there while its old bay still waits for it', async () => {
  await using station = await TestStation.start({
    host: { lookIntoBay: quickBay },
    bays: 2,
    config: { session: { ...pace, reseat_ms: 600_000 } },
  });
  const camera = quickCamera({ serialNumber: 'BC-1', store: storeOf({ 'A.MP4': 5000 }).store });
  station.plug(1, camera);
  await station.untilPhase(1, 'ready');
  await station.unplug(1);
  await station.untilPhase(1, 'identifying');
  station.plug(2, camera);
  await station.untilPhase(2, 'ready');
  await station.untilPhase(1, 'empty');
});

test('a device that never works is power-cycled once, then its bay is called faulty', async () => {
  const powerCycle = vi.fn(async () => true);
  await using station = await TestStation.start({
    host: { lookIntoBay: failing('usb.transfer-failed'), powerCycle },
  });
  const bay = await station.until('faulty', async () => {
    const state = await station.untilPhase(1, 'attention');
    return state.code === 'bay.faulty' && state;
  });
  expect(bay).toMatchObject({ code: 'bay.faulty', detail: expect.stringContaining('scripted') });
  expect(powerCycle).toHaveBeenCalledOnce();
  const told = (await eventsOf(station, 'camera-unusable', 'bay-power-cycled')).map(
    ({ type, data }) => `${type} ${(data as { code: string }).code}`,
  );
  expect(told).toEqual([
    'camera-unusable usb.transfer-failed',
    'bay-power-cycled usb.transfer-failed',
    'camera-unusable bay.faulty',
  ]);
  const { faults } = await station.ask<FaultsAnswer>('faults');
  expect(faults).toMatchObject([{ bay: 1, serialNumber: '', code: 'usb.transfer-failed' }]);
  expect(faults[0]?.count).toBeGreaterThanOrEqual(6);
});

test('a stranger is quarantined, reported once and never power-cycled', async () => {
  const powerCycle = vi.fn(async () => true);
  const look = vi.fn(failing('camera.stranger'));
  await using station = await TestStation.start({ host: { lookIntoBay: look, powerCycle } });
  expect(await station.untilPhase(1, 'quarantined')).toMatchObject({ code: 'camera.stranger' });
  await expect.poll(() => look.mock.calls.length).toBeGreaterThan(8);
  expect(powerCycle).not.toHaveBeenCalled();
  expect(await eventsOf(station, 'camera-unusable')).toHaveLength(1);
});

test('a camera that only charges is no problem', async () => {
  const lookIntoBay = async (): Promise<BayContent> => ({ kind: 'charging', detail: 'model-x on 1-1.2' });
  await using station = await TestStation.start({ host: { lookIntoBay } });
  expect(await station.untilPhase(1, 'charging')).toMatchObject({ detail: 'model-x on 1-1.2' });
  expect(await eventsOf(station, 'camera-unusable')).toEqual([]);
});

test('a bay looks at once when its port is woken, and at no other', async () => {
  const look = vi.fn(async (): Promise<BayContent> => ({ kind: 'empty' }));
  const wakes: ((usbPort: string) => void)[] = [];
  await using _ = await TestStation.start({
    host: { lookIntoBay: look, watchBays: (wake) => wakes.push(wake) },
    config: { session: { presence_ms: 600_000 }, bay: [{ number: 1, usb_port: '1-1' }] },
  });
  await expect.poll(() => look.mock.calls.length).toBe(1);
  await new Promise((resolve) => setImmediate(resolve));
  wakes[0]?.('1-2');
  wakes[0]?.('1-1');
  await expect.poll(() => look.mock.calls.length).toBe(2);
});

test('a loose contact is rested, counted and called faulty, instead of sessions without end', async () => {
  const powerCycle = vi.fn(async () => true);
  let opened = 0;
  const lookIntoBay: AgentHost['lookIntoBay'] = async (bay, signal) => {
    const content = await quickBay(bay, signal);
    if (content.kind !== 'camera') return content;
    opened++;
    const closed = (): never => {
      throw new DockError('link.closed', 'scripted');
    };
    return { kind: 'camera', camera: Object.assign(content.camera, { recordings: closed }) };
  };
  await using station = await TestStation.start({
    host: { lookIntoBay, powerCycle },
    config: { session: { presence_ms: 100, retry_ms: 100, reseat_ms: 60_000 } },
  });
  station.plug(1, quickCamera({ serialNumber: 'BC-1', store: storeOf({}).store }));
  await station.until('faulty', async () => (await station.untilPhase(1, 'attention')).code === 'bay.faulty');
  expect(powerCycle).toHaveBeenCalledOnce();
  expect(opened).toBeLessThanOrEqual(9);
  expect((await station.ask<FaultsAnswer>('faults')).faults).toMatchObject([
    { bay: 1, serialNumber: 'BC-1', code: 'link.closed' },
  ]);
  expect(await eventsOf(station, 'camera-docked')).toHaveLength(1);
});

test('what fails in a bay is not taken for the camera that was there before', async () => {
  let isStranger = false;
  await using station = await TestStation.start({
    host: {
      lookIntoBay: (bay, signal) =>
        isStranger && bay.number === 1 ? failing('camera.stranger')() : quickBay(bay, signal),
    },
    bays: 2,
    config: { session: { ...pace, reseat_ms: 600_000 } },
  });
  const camera = quickCamera({ serialNumber: 'BC-1', store: storeOf({}).store });
  station.plug(1, camera);
  await station.untilPhase(1, 'ready');
  isStranger = true;
  await station.unplug(1);
  expect((await station.untilPhase(1, 'quarantined')).serialNumber).toBeUndefined();
  station.plug(2, camera);
  await station.untilPhase(2, 'ready');
});

test('the ladder: a working camera takes it down, a short gap does not, a long one does', () => {
  const ladder = new FailureLadder();
  const climb = (times: number): string[] => Array.from({ length: times }, () => ladder.failed());
  expect(climb(2)).toEqual(['try-again', 'try-again']);
  ladder.worked();
  expect(climb(7)).toEqual([
    'try-again',
    'try-again',
    'power-cycle',
    'try-again',
    'try-again',
    'faulty',
    'faulty',
  ]);
  ladder.empty(0);
  ladder.empty(29_999);
  expect(climb(1)).toEqual(['faulty']);
  ladder.empty(50_000);
  ladder.empty(80_000);
  expect(climb(3)).toEqual(['try-again', 'try-again', 'power-cycle']);
});

test('blame falls on the bay where good cameras fail, or on the camera that fails in good bays', () => {
  const met = (bay: number, serialNumber: string) => ({ bay, serialNumber });
  expect(blame([met(3, 'A'), met(3, 'B')], [met(1, 'A'), met(2, 'B')])).toMatchObject([
    { kind: 'bay', bay: 3, cameras: ['A', 'B'] },
  ]);
  expect(blame([met(1, 'X'), met(2, 'X')], [met(1, 'A'), met(2, 'B')])).toMatchObject([
    { kind: 'camera', serialNumber: 'X', bays: [1, 2] },
  ]);
  expect(blame([met(3, 'A')], [met(1, 'A')]), 'one failure proves nothing').toEqual([]);
  expect(blame([met(3, 'A'), met(3, 'B')], []), 'cameras that do well nowhere').toEqual([]);
  expect(blame([met(3, ''), met(2, '')], [met(2, 'A'), met(3, 'B')]), 'devices without a name').toEqual([]);
});
