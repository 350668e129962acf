// SMP over HID as the station uses it: what a lost report costs, what garbage does, how a camera is unlocked and how a
// pulled cable shows. The contract of the camera over HID is in smp-camera.test.ts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { HidPipe } from '../../dock/camera/hid-pipe.ts';
import { hidTransport } from '../../dock/camera/hid-transport.ts';
import { openSmpCamera, type SmpCamera } from '../../dock/camera/smp-camera.ts';
import { openHidPipe } from '../../dock/host/hid-pipe.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { memoryHidPipes, type MemoryHidOptions } from '../../dock/simulator/memory-hid-pipes.ts';
import { sampleCamera, type SampleCamera } from '../../dock/simulator/sample-camera.ts';
import { serveCameraOverHid } from '../../dock/simulator/serve.ts';
import type { SimulatedCamera } from '../../dock/simulator/simulated-camera.ts';
import { encodeHidReports } from '../../protocol/hid/report-frame.ts';
import * as group from '../../protocol/smp/camera-group.ts';
import { scripted } from '../support/scripted-camera.ts';
import { openQuickly } from '../support/quick-bay.ts';
import { bytesOf, storeOf } from '../support/recordings.ts';
import { seededRandom } from '../support/virtual-clock.ts';

const { signal } = new AbortController();
const quick = { answerTimeoutMs: 60, attempts: 5 };

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of opened.splice(0)) await each[Symbol.asyncDispose]();
});

interface Bench {
  readonly camera: SmpCamera;
  readonly simulated: SimulatedCamera;
  readonly host: HidPipe;
  readonly device: HidPipe;
}

async function bench(sample: Partial<SampleCamera> = {}, options: MemoryHidOptions = {}): Promise<Bench> {
  const { host, device } = memoryHidPipes(options);
  const simulated = sampleCamera({ serialNumber: 'BC-9', clockResolutionMs: 1, ...sample }, systemClock);
  void serveCameraOverHid(simulated, device, systemRandom);
  const camera = await openSmpCamera(hidTransport(host, systemClock), systemClock, signal, quick);
  opened.push(camera);
  return { camera, simulated, host, device };
}

async function firstRecording(camera: SmpCamera): Promise<Buffer> {
  const [recording] = await Array.fromAsync(camera.recordings(signal));
  if (!recording) throw new Error('no recording');
  return Buffer.concat(await Array.fromAsync(camera.read(recording, 0, signal)));
}

describe('a camera on HID', () => {
  test.for([8, 9, 64, 512, 1024])('delivers a recording in reports of %d bytes', async (reportBytes) => {
    const held = storeOf({ 'A.MP4': 20_001 });
    const { camera } = await bench({ store: held.store }, { reportBytes });
    expect((await firstRecording(camera)).equals(bytesOf('A.MP4', 20_001))).toBe(true);
  });

  test.for([
    ['host', 97],
    ['device', 7],
  ] as const)('is asked again when a report to the %s is lost', async ([side, everyNth]) => {
    const held = storeOf({ 'A.MP4': 60_000 });
    let reports = 0;
    const loses = (_report: Uint8Array, to: 'host' | 'device'): boolean =>
      to === side && ++reports % everyNth === 0;
    const { camera } = await bench({ store: held.store }, { loses });
    expect((await firstRecording(camera)).equals(bytesOf('A.MP4', 60_000))).toBe(true);
    expect(reports).toBeGreaterThan(4 * everyNth);
  });

  test.for([
    ['damage', { corruptOneByteIn: 30_000 }],
    ['lost reports', { loseOneIn: 600 }],
    ['answers twice', { repeatAnswers: true }],
    ['answers late', { delayOneIn: 4 }],
    ['forged answers', { forgeAnswers: true }],
    ['log text in between', { logText: true }],
  ] as const)('delivers whole recordings in spite of %s', async ([, faults]) => {
    const held = storeOf({ 'A.MP4': 200_000 });
    const { camera } = await bench({ store: held.store, faults });
    expect((await firstRecording(camera)).equals(bytesOf('A.MP4', 200_000))).toBe(true);
  });

  test('answers through a flood of garbage reports', async () => {
    const held = storeOf({ 'A.MP4': 50_000 });
    const { camera, host, device } = await bench({ store: held.store });
    const random = seededRandom(3);
    const garbage = (): Uint8Array => Uint8Array.from({ length: 64 }, () => random() * 256);
    let isFlooding = true;
    const flood = (async () => {
      while (isFlooding) {
        for (let count = 0; count < 20; count++) {
          const report = garbage();
          // First and further reports are worse than reserved kinds: they cut good messages short, now and then.
          report[0] = random() < 0.005 ? 1 + Math.round(random()) : 3 + random() * 250;
          await device.write(report);
          await host.write(garbage().fill(0, 0, 1));
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    expect((await firstRecording(camera)).equals(bytesOf('A.MP4', 50_000))).toBe(true);
    isFlooding = false;
    await flood;
  });

  test('is not confused by what an agent that died in the middle left on the way', async () => {
    const { host, device } = memoryHidPipes();
    const simulated = sampleCamera({ serialNumber: 'BC-9' }, systemClock);
    const stale = simulated.server.answer(encodedIdentityRequest);
    const [, ...tail] = stale.flatMap((message) =>
      encodeHidReports(message, { reportBytes: 64, counter: 200 }),
    );
    void serveCameraOverHid(simulated, device, systemRandom);
    const transport = hidTransport(host, systemClock);
    const opening = openSmpCamera(transport, systemClock, signal, quick);
    for (const report of tail) await device.write(report);
    opened.push(await opening);
  });

  test('that is pulled fails as link.closed, in the middle of a recording', async () => {
    const held = storeOf({ 'A.MP4': 200_000 });
    const { camera } = await bench({ store: held.store, faults: { unplugAfterBytes: 50_000 } });
    await expect(firstRecording(camera)).rejects.toMatchObject({ code: 'link.closed' });
    await expect(camera.readIdentity(signal)).rejects.toMatchObject({ code: 'link.closed' });
  });

  test('that takes no reports any more is taken for gone', async () => {
    const { host } = memoryHidPipes();
    const stuck: HidPipe = { ...host, write: () => new Promise(() => undefined) };
    // Time runs a thousand times faster here.
    const hasty = {
      ...systemClock,
      sleep: (ms: number, stop?: AbortSignal) => systemClock.sleep(ms / 1000, stop),
    };
    const transport = hidTransport(stuck, hasty);
    await expect(transport.send(new Uint8Array(8))).rejects.toMatchObject({ code: 'link.closed' });
    await transport.closed;
    await expect(transport.send(new Uint8Array(8))).rejects.toMatchObject({ code: 'link.closed' });
  });

  test('does not send the rest of a message to a pipe that is closed', async () => {
    const { host } = memoryHidPipes({ reportBytes: 8 });
    let writes = 0;
    const closing: HidPipe = {
      ...host,
      write: async (report) => {
        if (++writes === 2) await host[Symbol.asyncDispose]();
        else await host.write(report);
        await new Promise((resolve) => setImmediate(resolve));
      },
    };
    await expect(hidTransport(closing, systemClock).send(new Uint8Array(100))).rejects.toMatchObject({
      code: 'link.closed',
    });
    expect(writes).toBe(2);
  });

  test('is given the time its reports take', () => {
    const { host } = memoryHidPipes({ reportBytes: 64 });
    const transport = hidTransport({ ...host, reportIntervalMs: 10 }, systemClock);
    expect(transport.wireTimeMs(62 * 10 - 4)).toBe(100);
    expect(transport.wireTimeMs(62 * 10 - 3)).toBe(110);
  });
});

const encodedIdentityRequest = Uint8Array.of(0x08, 0, 0, 1, 0, 64, 77, 0, 0xa0);

describe('unlocking', () => {
  function lockable(storageModes: SampleCamera['storageModes'], faults = {}) {
    const switched: string[] = [];
    return {
      switched,
      sample: {
        storageModes: storageModes ?? [],
        faults,
        onModeSwitch: (mode: string) => switched.push(mode),
      },
    };
  }

  test.for(['mtp', 'mass-storage'] as const)('asks for %s, and the camera becomes it', async (mode) => {
    const { sample, switched } = lockable(['mtp', 'mass-storage']);
    const { camera } = await bench(sample);
    await camera.switchStorage(mode, signal);
    await systemClock.sleep(0);
    expect(switched).toEqual([mode]);
  });

  test('of a camera without that mode fails as smp.unsupported, and changes nothing', async () => {
    const { sample, switched } = lockable(['mtp']);
    const { camera } = await bench(sample);
    await expect(camera.switchStorage('mass-storage', signal)).rejects.toMatchObject({
      code: 'smp.unsupported',
    });
    expect(switched).toEqual([]);
    expect((await camera.readIdentity(signal)).serialNumber).toBe('BC-9');
  });

  test.for([
    ['does not know the command', { rc: 8 }, 'smp.unsupported'],
    ['offers the mode and then refuses it', { err: { group: 64, rc: 6 } }, 'smp.rejected'],
  ] as const)('of a camera that %s fails', async ([, body, code]) => {
    const { host, device } = memoryHidPipes();
    const simulated = sampleCamera({ serialNumber: 'BC-9', storageModes: ['mtp'] }, systemClock);
    const refused = code === 'smp.unsupported' ? group.cameraReadMode : group.cameraSetMode;
    const served = scripted(simulated, (request) =>
      request.is(refused) ? [request.answer(body)] : undefined,
    );
    void serveCameraOverHid(served, device, systemRandom);
    const camera = await openSmpCamera(hidTransport(host, systemClock), systemClock, signal, quick);
    opened.push(camera);
    await expect(camera.switchStorage('mtp', signal)).rejects.toMatchObject({ code });
  });

  test('counts as done when the camera leaves without its answer', async () => {
    const { host, device } = memoryHidPipes();
    const simulated = sampleCamera({ serialNumber: 'BC-9', storageModes: ['mtp'] }, systemClock);
    const served = scripted(simulated, (request) => {
      if (!request.is(group.cameraSetMode)) return undefined;
      void device[Symbol.asyncDispose]();
      return [];
    });
    void serveCameraOverHid(served, device, systemRandom);
    const camera = await openSmpCamera(hidTransport(host, systemClock), systemClock, signal, quick);
    opened.push(camera);
    await camera.switchStorage('mtp', signal);
    // Gone before the question is something else: nothing was asked.
    await expect(camera.switchStorage('mtp', signal)).rejects.toMatchObject({ code: 'link.closed' });
  });

  test('of a camera that falls silent fails as wire.timeout, and stops when told to', async () => {
    const { camera, simulated } = await bench(lockable(['mtp']).sample);
    simulated.faults.silent = true;
    await expect(camera.switchStorage('mtp', signal)).rejects.toMatchObject({ code: 'wire.timeout' });
    const stop = new AbortController();
    const switching = camera.switchStorage('mtp', stop.signal);
    const reason = new Error('stop');
    stop.abort(reason);
    await expect(switching).rejects.toBe(reason);
  });

  test('makes the simulator, run as a program, leave and call its hook', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hid-'));
    opened.push({ [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true }) });
    const port = join(folder, 'camera');
    const hook = 'echo "hook $DOCK_CAMERA_MODE $DOCK_CAMERA_SERIAL"; exit 3';
    const program = spawn(process.execPath, [
      'dock/simulator/main.ts',
      '--serial=BC-9',
      `--link=${port}`,
      '--samples=0',
      '--storage-mode=mass-storage',
      `--on-mode-switch=${hook}`,
    ]);
    opened.push({ [Symbol.asyncDispose]: async () => void program.kill('SIGKILL') });
    let said = '';
    program.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await once(program.stdout, 'data');
    const camera = await openQuickly(port, signal);
    opened.push(camera);
    const exited = once(program, 'close');
    await (camera as SmpCamera).switchStorage('mass-storage', signal);
    expect((await exited)[0]).toBe(3);
    expect(said.split('\n').slice(1)).toEqual([
      '{"modeSwitch":"mass-storage","serialNumber":"BC-9"}',
      'hook mass-storage BC-9',
      '',
    ]);
    await expect(camera.readIdentity(signal)).rejects.toMatchObject({ code: 'link.closed' });
  });

  test('may be agreed to and never happen', async () => {
    const { sample, switched } = lockable(['mtp'], { ignoreModeSwitch: true });
    const { camera } = await bench(sample);
    await camera.switchStorage('mtp', signal);
    expect((await camera.readIdentity(signal)).serialNumber).toBe('BC-9');
    expect(switched).toEqual([]);
  });
});

describe('a hidraw node', () => {
  test('that is not there is a camera that went away', async () => {
    await expect(openHidPipe('/dev/hidraw-none')).rejects.toMatchObject({ code: 'link.closed' });
  });

  test('that is something else does not open', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hid-'));
    opened.push({ [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true }) });
    mkdirSync(join(folder, 'dev'));
    writeFileSync(join(folder, 'dev/hidraw0'), '');
    await expect(openHidPipe(join(folder, 'dev/hidraw0'))).rejects.toMatchObject({
      code: 'link.open-failed',
    });
  });
});
