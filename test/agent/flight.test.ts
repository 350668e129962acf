// A fault in the field must come home as bytes that a test can use, without a byte too many of what officers recorded
// and nothing of what proves a camera.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hidTransport } from '../../dock/camera/hid-transport.ts';
import { openMtpCamera } from '../../dock/camera/mtp-camera.ts';
import { openSmpCamera } from '../../dock/camera/smp-camera.ts';
import type { Camera } from '../../dock/camera/camera.ts';
import { FrameLog } from '../../dock/flight/frame-log.ts';
import { recordedHidPipe } from '../../dock/flight/recorded-link.ts';
import { recordedPtpPipe } from '../../dock/flight/recorded-ptp-pipe.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { DeviceClock } from '../../dock/simulator/device-clock.ts';
import { memoryHidPipes } from '../../dock/simulator/memory-hid-pipes.ts';
import { PtpResponder } from '../../dock/simulator/ptp-responder.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { serveCameraOverHid } from '../../dock/simulator/serve.ts';
import { describeFrames, type FlightFrame } from '../../agent/flight/flight.ts';
import { FlightRecorder, type FlightSummary } from '../../agent/flight/flight-recorder.ts';
import type { Flight } from '../../agent/flight/flight.ts';
import { annotatedHex } from '../protocol/annotated-hex.ts';
import { bytesOf, storeOf } from '../support/recordings.ts';
import { recordedBay } from '../support/recorded-bay.ts';
import { TestStation } from '../support/test-station.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const { signal } = new AbortController();
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
/** More of a recording than this in one piece is too much. */
const mostContentBytes = 48;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dock-flight-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function recorder(clock = new VirtualClock()): FlightRecorder {
  return new FlightRecorder({ folder, clock, random: systemRandom, log: quiet, version: '1' });
}

/** No window of the recording beyond the limit is in any frame. */
function expectNoContents(frames: readonly FlightFrame[], recording: Uint8Array): void {
  const bytes = Buffer.from(recording);
  for (const { hex } of frames) {
    for (let start = 0; start + 2 * mostContentBytes + 2 <= hex.length; start += 2) {
      const window = Buffer.from(hex.slice(start, start + 2 * mostContentBytes + 2), 'hex');
      expect(bytes.includes(window), `contents in ${hex}`).toBe(false);
    }
  }
}

async function emptyCamera(camera: Camera): Promise<void> {
  for await (const recording of camera.recordings(signal)) {
    for await (const _ of camera.read(recording, 0, signal)) void _;
  }
}

describe('the frames of a bay', () => {
  test('are the last ones, bounded in number and bytes', () => {
    const clock = new VirtualClock();
    const log = new FrameLog(clock);
    for (let n = 0; n < 2000; n++) log.add('console', 'in', Uint8Array.of(n >> 8, n & 0xff));
    expect(log.frames().map(({ bytes }) => ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0))).toEqual(
      Array.from({ length: 512 }, (_, index) => 1488 + index),
    );
    for (let n = 0; n < 100; n++) log.add('console', 'in', new Uint8Array(10_000));
    const held = log.frames().reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(held).toBeGreaterThan(50_000);
    expect(held).toBeLessThanOrEqual(65_536);
    log.add('ptp', 'in', new Uint8Array(1_000_000));
    expect(log.frames().map(({ bytes, sizeBytes }) => [bytes.length, sizeBytes])).toEqual([
      [65_536, 1_000_000],
    ]);
  });

  test('are their own copies: a buffer used again changes nothing', () => {
    const log = new FrameLog(new VirtualClock());
    const buffer = Buffer.from([1, 2, 3]);
    log.add('hid', 'in', buffer);
    buffer.fill(9);
    expect([...(log.frames()[0]?.bytes ?? [])]).toEqual([1, 2, 3]);
  });
});

describe('what is written down', () => {
  test('of MTP: commands and datasets whole, of recordings the first bytes', async () => {
    const sizeBytes = 300_000;
    const held = storeOf({ 'A.MP4': sizeBytes });
    const device = new DeviceClock(systemClock, { offsetMs: 0, driftPpm: 0, resolutionMs: 1000 });
    const log = new FrameLog(systemClock);
    const pipe = recordedPtpPipe(
      new PtpResponder({ store: held.store, hostClock: systemClock, clock: device }),
      log,
    );
    const options = { isRecording: () => true, zoneMinutes: 300, mayRemove: true };
    await using camera = await openMtpCamera(pipe, systemClock, options, signal);
    await emptyCamera(camera);
    const frames = describeFrames(log.frames(), systemClock.monotonic());
    expectNoContents(frames, bytesOf('A.MP4', sizeBytes));
    const abouts = frames.map(({ about }) => about).join('\n');
    expect(abouts).toMatch(/command 0x1001/);
    expect(abouts).toMatch(/response 0x2001/);
    const objectInfo = frames.find(({ about }) => about.startsWith('data 0x1008'));
    expect(objectInfo?.hex.length).toBe(2 * (objectInfo?.sizeBytes ?? 0));
    expect(frames.reduce((sum, frame) => sum + frame.sizeBytes, 0)).toBeGreaterThan(sizeBytes);
  });

  test('of SMP over HID: messages whole but for recordings, and nothing that proves a camera', async () => {
    const sizeBytes = 6000;
    const log = new FrameLog(systemClock);
    const { host, device } = memoryHidPipes();
    const simulated = sampleCamera(
      { serialNumber: 'BC-9', store: storeOf({ 'A.MP4': sizeBytes }).store },
      systemClock,
    );
    void serveCameraOverHid(simulated, device, systemRandom);
    await using camera = await openSmpCamera(
      hidTransport(recordedHidPipe(host, log), systemClock),
      systemClock,
      signal,
    );
    await emptyCamera(camera);
    const signature = await camera.challenge?.(new Uint8Array(32).fill(7), signal);
    const frames = describeFrames(log.frames(), systemClock.monotonic());
    expectNoContents(frames, bytesOf('A.MP4', sizeBytes));
    const all = frames.map(({ hex }) => hex).join(' ');
    expect(all).not.toContain(
      Buffer.from(signature ?? [])
        .toString('hex')
        .slice(0, 16),
    );
    expect(all).not.toContain('07'.repeat(16));
    expect(frames.some(({ about }) => /camera challenge, read response.*withheld/.test(about))).toBe(true);
    expect(
      frames.some(({ about, hex, sizeBytes: size }) => /download/.test(about) && hex.length < 2 * size),
    ).toBe(true);
  });
});

describe('flights', () => {
  const fault = { bay: 1, serialNumber: 'BC-1', code: 'wire.timeout', detail: 'no answer' };

  test('are kept in number, the newest first, one a minute for each bay', async () => {
    const clock = new VirtualClock();
    const flights = recorder(clock);
    for (const bay of [1, 2]) flights.logOf(bay).add('console', 'in', Buffer.from('boot\n'));
    for (let n = 0; n < 70; n++) {
      flights.fault({ ...fault, detail: String(n) });
      flights.fault({ ...fault, detail: 'too soon' });
      clock.pass(60_000);
    }
    flights.fault({ ...fault, bay: 2, detail: 'another bay' });
    await flights.settle();
    const list = await flights.list();
    expect(list.map(({ detail }) => detail)).toEqual([
      'another bay',
      ...Array.from({ length: 49 }, (_, index) => String(69 - index)),
    ]);
    expect(readdirSync(folder)).toHaveLength(50);
  });

  test('are kept in size', async () => {
    const clock = new VirtualClock();
    const flights = recorder(clock);
    const path = join(folder, '00000000-0000-7000-8000-000000000001.json');
    writeFileSync(path, 'x'.repeat(9_000_000));
    flights.logOf(1).add('console', 'in', Buffer.from('boot\n'));
    flights.fault(fault);
    await flights.settle();
    expect(readdirSync(folder)).toHaveLength(1);
    expect(statSync(join(folder, readdirSync(folder)[0] ?? '')).size).toBeLessThan(1000);
  });

  test('that cannot be read are left out, and a bay that saw nothing leaves none', async () => {
    const flights = recorder();
    flights.fault(fault);
    await flights.settle();
    expect(readdirSync(folder)).toEqual([]);
    writeFileSync(join(folder, '00000000-0000-7000-8000-000000000001.json'), '{"v":1}');
    expect(await flights.list()).toEqual([]);
    expect(await flights.get('00000000')).toBeUndefined();
  });

  test('come from a station whose camera falls silent, and become a fixture with the same bytes', async () => {
    const flights = new FlightRecorder({
      folder,
      clock: systemClock,
      random: systemRandom,
      log: quiet,
      version: '1',
    });
    await using station = await TestStation.start({
      host: {
        flights,
        lookIntoBay: recordedBay(flights),
      },
    });
    const { store } = storeOf({ 'A.MP4': 40_000 });
    station.plug(
      1,
      sampleCamera({ serialNumber: 'BC-1', store, faults: { lyingSizeBytes: 1000n } }, systemClock),
    );
    const [summary] = await station.until('a flight', async () => {
      const answer = await station.ask<{ flights: FlightSummary[] }>('flights');
      return answer.flights.length > 0 && answer.flights;
    });
    expect(summary).toMatchObject({ bay: 1, serialNumber: 'BC-1' });
    const flight = await station.ask<Flight>('flight', { id: summary?.id });
    expectNoContents(flight.frames, bytesOf('A.MP4', 40_000));
    const saved = join(folder, 'saved');
    writeFileSync(saved, JSON.stringify(flight));
    const script = new URL('../../scripts/flight-to-fixture.ts', import.meta.url).pathname;
    const fixture = execFileSync(process.execPath, [script, saved], { encoding: 'utf8' });
    const hexes = [...fixture.matchAll(/annotatedHex\(`([^`]*)`\)/g)].map(([, text = '']) =>
      annotatedHex(text),
    );
    expect(hexes.map((bytes) => Buffer.from(bytes).toString('hex'))).toEqual(
      flight.frames.map(({ hex }) => hex),
    );
    expect(fixture).toContain('"serial"');
  });
});
