// What the agent states about a camera's clock is proven: the true offset always lies within what it says.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CamerasAnswer } from '../../agent/cli/answers.ts';
import { measureClock } from '../../agent/clock/measure.ts';
import { DockError } from '../../protocol/errors.ts';
import { setClock } from '../../agent/clock/set.ts';
import { driftPpm } from '../../agent/clock/settle.ts';
import { parseChronyTracking, parseTimesync } from '../../agent/clock/station-clock.ts';
import { MemoryStore } from '../../dock/simulator/recording-store.ts';
import { quickBay, quickCamera } from '../support/quick-bay.ts';
import { storeOf } from '../support/recordings.ts';
import { eventsOf, expectStoredOnce, digestsOf } from '../support/station-facts.ts';
import { TestStation } from '../support/test-station.ts';
import { seededRandom, VirtualCameraClock, VirtualClock } from '../support/virtual-clock.ts';

const { signal } = new AbortController();
const patience = { maxMs: 5000, signal };

/** A line whose messages take `leastMs`, and up to `jitterMs` more. */
function line(seed: number, leastMs: number, jitterMs: number): () => number {
  const random = seededRandom(seed);
  return () => leastMs + random() * jitterMs;
}

const lines = fc.record({
  seed: fc.integer(),
  leastMs: fc.double({ min: 0.05, max: 60, noNaN: true }),
  jitterMs: fc.double({ min: 0, max: 40, noNaN: true }),
  oversleepMs: fc.double({ min: 0, max: 15, noNaN: true }),
});
const offsets = fc.oneof(
  fc.double({ min: -2000, max: 2000, noNaN: true }),
  fc.double({ min: -4e9, max: 4e9, noNaN: true }),
);
const drifts = fc.double({ min: -150, max: 150, noNaN: true });

describe.for([1000, 100, 1])('a clock that shows steps of %d ms', (resolutionMs) => {
  test('is measured with an interval that holds its true offset', async () => {
    await fc.assert(
      fc.asyncProperty(
        lines,
        offsets,
        drifts,
        async ({ seed, leastMs, jitterMs, oversleepMs }, offsetMs, drift) => {
          const random = seededRandom(seed);
          const station = new VirtualClock({ oversleepMs: () => random() * oversleepMs });
          const delayMs = line(seed + 1, leastMs, jitterMs);
          const camera = new VirtualCameraClock(station, {
            resolutionMs,
            offsetMs,
            driftPpm: drift,
            delayMs,
          });
          const measured = await measureClock(camera, station, patience);
          const error = Math.abs(camera.trueOffsetMs() - measured.offsetMs);
          expect(error).toBeLessThanOrEqual(measured.uncertaintyMs);
          expect(station.monotonic()).toBeLessThan(patience.maxMs + 500);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('is set so that what is left lies within the stated interval and the tolerance', async () => {
    await fc.assert(
      fc.asyncProperty(lines, offsets, drifts, async ({ seed, leastMs, jitterMs }, offsetMs, drift) => {
        const station = new VirtualClock();
        const delayMs = line(seed, leastMs, jitterMs);
        const camera = new VirtualCameraClock(station, { resolutionMs, offsetMs, driftPpm: drift, delayMs });
        const before = await measureClock(camera, station, patience);
        const after = await setClock(camera, station, {
          shortestRoundTripMs: before.shortestRoundTripMs,
          toleranceMs: 100,
          measureForMs: 5000,
          signal,
        });
        expect(Math.abs(camera.trueOffsetMs() - after.offsetMs)).toBeLessThanOrEqual(after.uncertaintyMs);
        expect(Math.abs(camera.trueOffsetMs())).toBeLessThanOrEqual(100 + 2 * after.uncertaintyMs);
      }),
      { numRuns: 60 },
    );
  });
});

describe('a clock of whole seconds', () => {
  test.for([2, 9, 30, 120])('is known to about half a round trip: one way %d ms', async (oneWayMs) => {
    for (let seed = 0; seed < 40; seed++) {
      const random = seededRandom(seed);
      const station = new VirtualClock();
      const camera = new VirtualCameraClock(station, {
        resolutionMs: 1000,
        offsetMs: (random() - 0.5) * 20_000,
        delayMs: line(seed, oneWayMs, oneWayMs / 10),
      });
      const { uncertaintyMs, shortestRoundTripMs, method } = await measureClock(camera, station, patience);
      expect(method).toBe('tick');
      expect(uncertaintyMs).toBeLessThanOrEqual(shortestRoundTripMs * 0.75 + 2);
    }
  });

  test('is known to a few milliseconds where a round trip takes less than one', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const station = new VirtualClock();
      const offsetMs = seededRandom(seed)() * 1000;
      const camera = new VirtualCameraClock(station, { resolutionMs: 1000, offsetMs, delayMs: () => 0.15 });
      const { uncertaintyMs, reads } = await measureClock(camera, station, patience);
      expect(uncertaintyMs).toBeLessThan(3);
      expect(reads).toBeLessThan(400);
    }
  });

  test('lands on the second when it is set', async () => {
    const station = new VirtualClock();
    const camera = new VirtualCameraClock(station, {
      resolutionMs: 1000,
      offsetMs: 4321.5,
      delayMs: () => 5,
    });
    const options = { shortestRoundTripMs: 10, toleranceMs: 100, measureForMs: 5000, signal };
    await setClock(camera, station, options);
    expect(Math.abs(camera.trueOffsetMs())).toBeLessThan(2);
    expect(camera.sets).toBe(1);
  });

  test('that keeps its fraction of a second when set is left at that, and measured honestly', async () => {
    const station = new VirtualClock();
    const camera = new VirtualCameraClock(station, {
      resolutionMs: 1000,
      offsetMs: 90_400,
      delayMs: () => 5,
      keepsFraction: true,
    });
    const options = { shortestRoundTripMs: 10, toleranceMs: 100, measureForMs: 5000, signal };
    const after = await setClock(camera, station, options);
    expect(Math.abs(camera.trueOffsetMs())).toBeLessThanOrEqual(1000);
    expect(Math.abs(camera.trueOffsetMs())).toBeGreaterThan(100);
    expect(Math.abs(camera.trueOffsetMs() - after.offsetMs)).toBeLessThanOrEqual(after.uncertaintyMs);
    expect(after.uncertaintyMs).toBeLessThan(15);
  });

  test.for([
    ['smp.busy', false],
    ['wire.timeout', true],
  ] as const)('is set in the end when the first answer is %s', async ([code, isExecuted]) => {
    const station = new VirtualClock();
    const camera = new VirtualCameraClock(station, {
      resolutionMs: 1000,
      offsetMs: 4321.5,
      delayMs: () => 5,
    });
    let sets = 0;
    const flaky = {
      resolutionMs: 1000,
      read: camera.read.bind(camera),
      set: async (at: number, signal: AbortSignal) => {
        if (++sets > 1 || isExecuted) await camera.set(at, signal);
        if (sets === 1) throw new DockError(code);
      },
    };
    const options = { shortestRoundTripMs: 10, toleranceMs: 100, measureForMs: 5000, signal };
    await setClock(flaky, station, options);
    expect(Math.abs(camera.trueOffsetMs())).toBeLessThan(5);
    expect(sets).toBe(isExecuted ? 1 : 2);
  });

  test('that does not keep what it is set to is reported', async () => {
    const station = new VirtualClock();
    const camera = new VirtualCameraClock(station, {
      resolutionMs: 1000,
      offsetMs: 90_000,
      delayMs: () => 5,
    });
    const deaf = { resolutionMs: 1000, read: camera.read.bind(camera), set: async () => undefined };
    const options = { shortestRoundTripMs: 10, toleranceMs: 100, measureForMs: 5000, signal };
    await expect(setClock(deaf, station, options)).rejects.toMatchObject({ code: 'camera.clock-unsettled' });
  });
});

describe('a measurement', () => {
  test.for([1000, 1])(
    'is given up when the camera clock jumps in the middle of it: steps of %d ms',
    async (resolutionMs) => {
      for (const jumpMs of [5000, -5000, 86_400_000]) {
        const station = new VirtualClock();
        const camera = new VirtualCameraClock(station, {
          resolutionMs,
          offsetMs: 300,
          delayMs: () => 4,
          beforeRead: (reads, clock) => {
            if (reads === 7) clock.jump(jumpMs);
          },
        });
        await expect(measureClock(camera, station, patience)).rejects.toMatchObject({
          code: 'camera.clock-unsettled',
        });
      }
    },
  );

  test('is given up when the station clock steps in the middle of it', async () => {
    for (const stepMs of [3_600_000, -700, 80]) {
      const station = new VirtualClock();
      const camera = new VirtualCameraClock(station, {
        resolutionMs: 1000,
        offsetMs: 300,
        delayMs: () => 4,
        beforeRead: (reads) => {
          if (reads === 3) station.step(stepMs);
        },
      });
      await expect(measureClock(camera, station, patience)).rejects.toMatchObject({
        code: 'clock.station-untrusted',
      });
    }
  });

  test('grows wider by a small step of the station clock instead of wrong', async () => {
    const station = new VirtualClock();
    const camera = new VirtualCameraClock(station, {
      resolutionMs: 1,
      offsetMs: 300,
      delayMs: () => 1,
      beforeRead: (reads) => {
        if (reads === 5) station.step(30);
      },
    });
    const measured = await measureClock(camera, station, patience);
    expect(Math.abs(camera.trueOffsetMs() - measured.offsetMs)).toBeLessThanOrEqual(measured.uncertaintyMs);
  });

  test.for([150, -150])('does not hold early readings against a clock that drifts: %d ppm', async (drift) => {
    // One quick read proves much, the slow ones after it little: by then the clock has moved on.
    for (let fraction = 0; fraction < 1; fraction += 0.05) {
      const station = new VirtualClock();
      let isSlow = false;
      const camera = new VirtualCameraClock(station, {
        resolutionMs: 1,
        offsetMs: 300 + fraction,
        driftPpm: drift,
        delayMs: () => (isSlow ? 300 : 0.01),
        beforeRead: (reads) => {
          isSlow = reads > 1;
        },
      });
      const measured = await measureClock(camera, station, patience);
      const error = Math.abs(camera.trueOffsetMs() - measured.offsetMs);
      expect(error).toBeLessThanOrEqual(measured.uncertaintyMs);
    }
  });

  test('stops when it is told to', async () => {
    const station = new VirtualClock();
    const stop = new AbortController();
    const camera = new VirtualCameraClock(station, {
      resolutionMs: 1000,
      offsetMs: 0,
      delayMs: () => 4,
      beforeRead: (reads) => {
        if (reads === 10) stop.abort(new Error('enough'));
      },
    });
    await expect(measureClock(camera, station, { maxMs: 5000, signal: stop.signal })).rejects.toThrow(
      'enough',
    );
    expect(camera.reads).toBe(10);
  });

  test('of a clock with steps of a minute is as wide as it must be, and takes no longer than allowed', async () => {
    const station = new VirtualClock();
    const camera = new VirtualCameraClock(station, {
      resolutionMs: 60_000,
      offsetMs: 12_345,
      delayMs: () => 4,
    });
    const measured = await measureClock(camera, station, patience);
    expect(Math.abs(camera.trueOffsetMs() - measured.offsetMs)).toBeLessThanOrEqual(measured.uncertaintyMs);
    expect(station.monotonic()).toBeLessThan(5500);
  });
});

describe('drift', () => {
  test('follows from two dockings: what the clock gained since it was set', async () => {
    await fc.assert(
      fc.asyncProperty(drifts, fc.integer({ min: 1, max: 30 }), async (drift, days) => {
        const station = new VirtualClock();
        const camera = new VirtualCameraClock(station, {
          resolutionMs: 1000,
          offsetMs: 700,
          driftPpm: drift,
          delayMs: () => 5,
        });
        const options = { shortestRoundTripMs: 10, toleranceMs: 100, measureForMs: 5000, signal };
        const { measuredAt, offsetMs, uncertaintyMs } = await setClock(camera, station, options);
        station.pass(days * 86_400_000);
        const next = await measureClock(camera, station, patience);
        const last = { setAt: measuredAt, residualMs: offsetMs, uncertaintyMs };
        const boundPpm = ((next.uncertaintyMs + uncertaintyMs) / (days * 86_400_000)) * 1e6;
        expect(Math.abs((driftPpm(next, last) ?? Number.NaN) - drift)).toBeLessThanOrEqual(boundPpm * 1.01);
      }),
      { numRuns: 50 },
    );
  });

  test('is not stated where the bounds are too wide to tell, or time ran backwards', () => {
    const now = {
      offsetMs: 40,
      uncertaintyMs: 500,
      measuredAt: 10_000_000,
      shortestRoundTripMs: 5,
      reads: 4,
      method: 'tick',
    } as const;
    expect(driftPpm(now, undefined)).toBeUndefined();
    expect(driftPpm(now, { setAt: 0, residualMs: 0, uncertaintyMs: 500 })).toBeUndefined();
    expect(driftPpm(now, { setAt: 20_000_000, residualMs: 0, uncertaintyMs: 1 })).toBeUndefined();
  });
});

describe('at the docking station', () => {
  test('a clock that was never set is set', async () => {
    await using station = await TestStation.start({ host: { lookIntoBay: quickBay } });
    const camera = quickCamera({
      serialNumber: 'BC-1',
      store: new MemoryStore(),
      faults: { clockNeverSet: true },
    });
    // "Never set" as a fact, not as a fault that comes back after each setting.
    delete camera.faults.clockNeverSet;
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    expect(Math.abs((camera.options.deviceClock.exact() ?? 0) - Date.now())).toBeLessThan(100);
    expect(await station.sessions()).toMatchObject([{ outcome: 'complete', clockOffsetMs: null }]);
    expect(await eventsOf(station, 'clock-set')).toHaveLength(1);
    expect(await eventsOf(station, 'clock-measured')).toEqual([]);
  });

  test('a clock that forgets every setting is told of, and keeps nothing from being stored', async () => {
    await using station = await TestStation.start({ host: { lookIntoBay: quickBay } });
    const held = storeOf({ 'A.MP4': 1000 });
    const camera = quickCamera({ serialNumber: 'BC-1', store: held.store, faults: { clockNeverSet: true } });
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    expect(await eventsOf(station, 'clock-not-set')).toMatchObject([{ code: 'camera.clock-unset' }]);
    await expectStoredOnce(station, digestsOf(held));
  });

  test('cameras are measured but not set while the station clock cannot be trusted', async () => {
    const checkStationClock = async () => ({ isTrusted: false, evidence: 'no network for a week' });
    await using station = await TestStation.start({ host: { lookIntoBay: quickBay, checkStationClock } });
    const held = storeOf({ 'A.MP4': 1000 });
    const camera = quickCamera({ serialNumber: 'BC-1', store: held.store, clockOffsetMs: 60_000 });
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    expect(await eventsOf(station, 'clock-not-set')).toMatchObject([
      { code: 'clock.station-untrusted', detail: expect.stringContaining('no network for a week') },
    ]);
    expect(await eventsOf(station, 'clock-set')).toEqual([]);
    const [session] = await station.sessions();
    expect(session?.clockOffsetMs).toBeGreaterThan(59_900);
    expect((camera.options.deviceClock.exact() ?? 0) - Date.now()).toBeGreaterThan(59_000);
    // The offset goes with the recordings, as measured; their times stay as read.
    const [recording] = await expectStoredOnce(station, digestsOf(held));
    expect(recording?.clockOffsetMs).toBe(session?.clockOffsetMs);
    expect(Date.parse(recording?.startedAt ?? '')).toBe(held.store.list()[0]?.startedAt);
  });

  test('a clock that is right is left alone at the next docking', async () => {
    await using station = await TestStation.start({ host: { lookIntoBay: quickBay } });
    const camera = quickCamera({ serialNumber: 'BC-1', store: new MemoryStore(), clockOffsetMs: 5000 });
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    await station.dockAgain(1, camera);
    expect(await eventsOf(station, 'clock-set')).toHaveLength(1);
    const { cameras } = await station.ask<CamerasAnswer>('cameras');
    expect(Math.abs(cameras[0]?.clock?.offsetMs ?? Number.NaN)).toBeLessThan(20);
  });
});

describe('the station clock', () => {
  test('is trusted as far as chrony vouches for it', () => {
    const synchronised =
      'C0A80101,192.168.1.1,3,1776153600.123456,0.000123,0.000045,0.000067,12.345,0.010,0.250,0.001200,0.004500,64.0,Normal\n';
    expect(parseChronyTracking(synchronised)).toMatchObject({ isTrusted: true });
    expect(parseChronyTracking(synchronised).boundMs).toBeCloseTo(0.123 + 4.5 + 0.6, 6);
    const slow = synchronised.replace(',0.000123,', ',-0.700000000,');
    expect(parseChronyTracking(slow)).toMatchObject({ isTrusted: false });
  });

  test.for([
    [
      'not synchronised',
      '00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,1.000000000,0.0,Not synchronised\n',
    ],
    [
      'not synchronised, with no error stated',
      '00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,0.000000000,0.000000000,0.0,Not synchronised',
    ],
    [
      'in local mode',
      '7F7F0101,,10,1776153600.123456,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,0.000000000,0.000000000,0.0,Normal\n',
    ],
    ['an error message', '506 Cannot talk to daemon\n'],
    ['nothing', ''],
    ['a line cut off', 'C0A80101,192.168.1.1,3,1776153600.123456,0.0001'],
  ])('is not trusted when chrony answers: %s', ([, answer = '']) => {
    expect(parseChronyTracking(answer)).toMatchObject({ isTrusted: false });
  });

  const message = (fields: string): string =>
    `LinkNTPServers=\nServerName=0.debian.pool.ntp.org\nServerAddress=104.131.155.175\nRootDistanceMaxUSec=5s\nPollIntervalUSec=8min 32s\nNTPMessage={ ${fields} }\nFrequency=-3812749\n`;
  const stamps =
    'OriginateTimestamp=Fri 2023-02-03 19:41:30 EST, ReceiveTimestamp=Fri 2023-02-03 19:41:30 EST, TransmitTimestamp=Fri 2023-02-03 19:41:30 EST, DestinationTimestamp=Fri 2023-02-03 19:41:30 EST';

  test('is trusted as far as the server of timesyncd vouches for it', () => {
    const good = message(
      `Leap=0, Version=4, Mode=4, Stratum=2, Precision=-30, RootDelay=4.165ms, RootDispersion=3.982ms, Reference=AB400749, ${stamps}, Ignored=no PacketCount=115, Jitter=126.318ms`,
    );
    expect(parseTimesync(good)).toMatchObject({ isTrusted: true });
    expect(parseTimesync(good).boundMs).toBeCloseTo(3.982 + 4.165 / 2 + 126.318, 6);
    // A server beside its own reference clock, with zeros that have no unit.
    const stratum1 = message(
      `Leap=0, Version=4, Mode=4, Stratum=1, Precision=-21, RootDelay=0, RootDispersion=30us, Reference=PPS, ${stamps}, Ignored=no, PacketCount=1, Jitter=0 `,
    );
    expect(parseTimesync(stratum1)).toMatchObject({ isTrusted: true, boundMs: 0.03 });
  });

  test.for([
    [
      'far from its reference',
      `Leap=0, Version=4, Mode=4, Stratum=2, Precision=-23, RootDelay=17.013ms, RootDispersion=504.623ms, Reference=DA498B23, ${stamps}, Ignored=no, PacketCount=9, Jitter=11.984ms`,
    ],
    [
      'ignored',
      `Leap=0, Version=4, Mode=4, Stratum=2, Precision=-23, RootDelay=1ms, RootDispersion=1ms, Reference=DA498B23, ${stamps}, Ignored=yes, PacketCount=0, Jitter=0`,
    ],
    [
      'of a server that is not synchronised',
      `Leap=3, Version=4, Mode=4, Stratum=2, Precision=-23, RootDelay=1ms, RootDispersion=1ms, Reference=DA498B23, ${stamps}, Ignored=no, PacketCount=1, Jitter=0`,
    ],
    [
      'minutes away',
      `Leap=0, Version=4, Mode=4, Stratum=2, Precision=-23, RootDelay=1ms, RootDispersion=1min 4s, Reference=DA498B23, ${stamps}, Ignored=no, PacketCount=1, Jitter=0`,
    ],
    ['empty', ''],
  ])('is not trusted when the answer to timesyncd is %s', ([, fields = '']) => {
    expect(parseTimesync(message(fields))).toMatchObject({ isTrusted: false });
    expect(parseTimesync('')).toMatchObject({ isTrusted: false });
  });
});
