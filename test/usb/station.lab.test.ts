// The promises of the station on a real USB stack: the agent as its own process, without root, with everything that
// scripts/installation sets up, against cameras whose firmware is mostly not ours.
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyboardGadget } from './gadgets.ts';
import {
  diskCamera,
  labProfiles,
  lockedCamera,
  mtpCamera,
  serialCamera,
  type LabCamera,
} from './lab-cameras.ts';
import { installInLab, type LabInstallation } from './lab-installation.ts';
import { LabStation, type LabStationOptions } from './lab-station.ts';
import { hubPorts, labExchange, portPathOfUdc, until } from './lab.ts';

const megabyte = 1_000_000;
let installation: LabInstallation;
let ports: string[];
let hubs: Awaited<ReturnType<typeof hubPorts>>;

beforeAll(async () => {
  ports = await Promise.all(Array.from({ length: 9 }, (_, udc) => portPathOfUdc(udc)));
  hubs = await hubPorts();
  installation = await installInLab([...ports, hubs.camera]);
});
afterAll(async () => {
  await installation[Symbol.asyncDispose]();
});

function startStation(options: Partial<LabStationOptions> = {}): Promise<LabStation> {
  return LabStation.start({
    ports,
    profiles: labProfiles,
    helperSocket: installation.helperSocket,
    ...options,
  });
}

/** What the vault holds, as `serial name sha256`, hashed from its files. */
async function expectStored(station: LabStation, cameras: readonly LabCamera[]): Promise<void> {
  const stored = (await station.stored()).map((line) => line.replace(/ \S*\//, ' ')).toSorted();
  const held = cameras.flatMap(({ serialNumber, held: each }) =>
    each.map((file) => `${serialNumber} ${file}`),
  );
  expect(stored).toEqual(held.toSorted());
}

async function expectAccounts(station: LabStation): Promise<void> {
  for (const session of await station.sessions()) {
    const { listed, stored, held, quarantined, refused, unaccounted } = session;
    expect(stored + held + quarantined + refused + unaccounted, JSON.stringify(session)).toBe(listed);
    if (session.outcome === 'complete') expect(unaccounted, JSON.stringify(session)).toBe(0);
  }
}

describe('a station full of mixed cameras', () => {
  test('empties all of them at once, sets their clocks, and touches nothing that only pretends', async () => {
    const files = (name: string, bytes: number) => ({
      [`DCIM/${name}1.MP4`]: bytes,
      [`DCIM/100/${name}2.MP4`]: Math.round(bytes / 3),
      [`DCIM/100/${name}3.JPG`]: 5000,
    });
    await using stack = new AsyncDisposableStack();
    const mtp = await Promise.all(
      [0, 1, 2, 3].map(async (udc) =>
        stack.use(
          await mtpCamera({ udc, serialNumber: `MTP-${udc}`, files: files(`M${udc}`, 6 * megabyte) }),
        ),
      ),
    );
    const clean = stack.use(
      await diskCamera({ udc: 4, serialNumber: 'FAT-4', files: files('F', 5 * megabyte), format: 'fat32' }),
    );
    const dirty = stack.use(
      await diskCamera({
        udc: 5,
        serialNumber: 'EXF-5',
        files: files('E', 5 * megabyte),
        format: 'exfat',
        isDirty: true,
      }),
    );
    const locked = stack.use(
      await lockedCamera({ udc: 6, serialNumber: 'HID-6', files: files('H', 4 * megabyte) }),
    );
    const serial = stack.use(
      await serialCamera({ udc: 7, serialNumber: 'ACM-7', files: files('S', 60_000) }),
    );
    const impostor = stack.use(await keyboardGadget({ udc: 8, serialNumber: 'KBD-8' }));
    const cameras = [...mtp, clean, dirty, locked, serial];

    await using station = await startStation();
    await Promise.all([...cameras, impostor].map((camera) => camera.plug()));
    await station.untilBays([1, 2, 3, 4, 5, 6, 7, 8], ['ready']);
    await station.untilBays([9], ['quarantined']);

    await expectStored(station, cameras);
    await expectAccounts(station);
    // All were worked on at the same time, not one after the other.
    const sessions = await station.sessions();
    const lastStart = Math.max(...sessions.map(({ startedAt }) => Date.parse(startedAt)));
    const firstEnd = Math.min(...sessions.map(({ endedAt }) => Date.parse(endedAt ?? '')));
    expect(lastStart).toBeLessThan(firstEnd + 60_000);
    for (const { camera } of [locked, serial]) {
      expect(Math.abs((camera.options.deviceClock.exact() ?? 0) - Date.now())).toBeLessThan(500);
    }
    expect((await station.bay(9)).code).toBe('camera.stranger');

    await Promise.all(cameras.map((camera) => camera.unplug()));
    for (const camera of cameras) {
      // What was not unmounted in order may be damaged: nothing is written to it.
      const left = camera === dirty ? 3 : 0;
      expect(await camera.remaining(), camera.serialNumber).toHaveLength(left);
    }
  });

  test('enrols no more of them than the norm allows, whatever family they are', async () => {
    await using stack = new AsyncDisposableStack();
    const files = { 'DCIM/A.MP4': 50_000 };
    const cameras = [
      ...(await Promise.all(
        [0, 1, 2].map(async (udc) => stack.use(await mtpCamera({ udc, serialNumber: `Q-${udc}`, files }))),
      )),
      stack.use(await diskCamera({ udc: 4, serialNumber: 'Q-4', files, format: 'fat32' })),
      stack.use(await lockedCamera({ udc: 6, serialNumber: 'Q-6', files })),
      stack.use(await serialCamera({ udc: 7, serialNumber: 'Q-7', files })),
    ];
    await using station = await startStation({ headcount: 40 });
    await Promise.all(cameras.map((camera) => camera.plug()));
    await station.untilBays([1, 2, 3, 5, 7, 8], ['ready', 'refused']);
    const refused = await station.events('enrolment-refused');
    expect(refused).toHaveLength(1);
    expect(await station.events('camera-enrolled')).toHaveLength(5);
    const left = cameras.filter(({ serialNumber }) => serialNumber === refused[0]?.['serialNumber']);
    await expectStored(
      station,
      cameras.filter((camera) => !left.includes(camera)),
    );
    await Promise.all(cameras.map((camera) => camera.unplug()));
    expect(await left[0]?.remaining()).toEqual(['A.MP4']);
  });
});

test('a camera behind a hub behind a hub is in its own bay', async () => {
  // QEMU's own responder: no zero-length packets, GetPartialObject alone, full speed.
  const folder = join(labExchange, 'qemu-camera/DCIM');
  await mkdir(folder, { recursive: true });
  const bytes = randomBytes(700_000);
  await writeFile(join(folder, 'HUB1.MP4'), bytes);
  const profile = {
    name: 'qemu-mtp',
    modes: [{ match: { vendor_id: '46f4', product_id: '0004' }, recordings: 'mtp' }],
    removal: 'never',
  };
  await using station = await startStation({ ports: [hubs.camera], profiles: [profile] });
  await station.untilBays([1], ['ready']);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  expect(await station.stored()).toContainEqual(
    expect.stringMatching(new RegExp(`DCIM/HUB1\\.MP4 ${sha256}$`)),
  );
});

describe('nothing is lost and nothing twice', () => {
  const large = { 'DCIM/A.MP4': 8 * megabyte, 'DCIM/B.MP4': 3 * megabyte, 'DCIM/C.MP4': 200_000 };

  async function mixedCameras(stack: AsyncDisposableStack): Promise<LabCamera[]> {
    return [
      stack.use(await mtpCamera({ udc: 0, serialNumber: 'U-0', files: large })),
      stack.use(await mtpCamera({ udc: 1, serialNumber: 'U-1', files: large })),
      stack.use(await diskCamera({ udc: 4, serialNumber: 'U-4', files: large, format: 'fat32' })),
      stack.use(await lockedCamera({ udc: 6, serialNumber: 'U-6', files: large })),
      stack.use(await serialCamera({ udc: 7, serialNumber: 'U-7', files: { 'DCIM/S.MP4': 300_000 } })),
    ];
  }
  const mixedBays = [1, 2, 5, 7, 8];

  test('when cameras are pulled and put back fifty times at random moments', async () => {
    await using stack = new AsyncDisposableStack();
    const cameras = await mixedCameras(stack);
    await using station = await startStation();
    await Promise.all(cameras.map((camera) => camera.plug()));
    const pullTenTimes = async (camera: LabCamera): Promise<void> => {
      for (let pull = 0; pull < 10; pull++) {
        await sleep(randomInt(0, 6000));
        await camera.unplug();
        await sleep(randomInt(0, 1000));
        await camera.plug();
      }
    };
    await Promise.all(cameras.map(pullTenTimes));
    await station.untilBays(mixedBays, ['ready']);
    await expectStored(station, cameras);
    await expectAccounts(station);
    await Promise.all(cameras.map((camera) => camera.unplug()));
    for (const camera of cameras) expect(await camera.remaining(), camera.serialNumber).toEqual([]);
  }, 600_000);

  test('when the agent is killed in the middle of its transfers, again and again', async () => {
    await using stack = new AsyncDisposableStack();
    const cameras = await mixedCameras(stack);
    await using station = await startStation();
    await Promise.all(cameras.map((camera) => camera.plug()));
    for (let kill = 0; kill < 6; kill++) {
      await sleep(randomInt(500, 4000));
      await station.kill();
      await station.startAgent();
    }
    await station.untilBays(mixedBays, ['ready']);
    await expectStored(station, cameras);
    await expectAccounts(station);
    await Promise.all(cameras.map((camera) => camera.unplug()));
    for (const camera of cameras) expect(await camera.remaining(), camera.serialNumber).toEqual([]);
  });

  test('when the firmware of a camera dies in the middle of a transfer and boots again', async () => {
    await using camera = await mtpCamera({ udc: 0, serialNumber: 'D-0', files: large });
    await using station = await startStation();
    await camera.plug();
    for (let death = 0; death < 3 && (await camera.remaining()).length === 3; death++) {
      await until('a transfer', async () => (await station.bay(1)).phase === 'pulling', { everyMs: 50 });
      await camera.gadget.function.killResponder();
      await camera.plug();
    }
    await station.untilBays([1], ['ready']);
    await expectStored(station, [camera]);
    expect(await camera.remaining()).toEqual([]);
  });

  test('when a camera stops answering on the bus, is given up, and boots again', async () => {
    await using camera = await mtpCamera({ udc: 0, serialNumber: 'Z-0', files: large });
    await using station = await startStation();
    await camera.plug();
    await until('a transfer', async () => (await station.bay(1)).phase === 'pulling', { everyMs: 50 });
    camera.gadget.function.freezeResponder();
    // The window times out after 60 s; then the ladder is climbed, and nothing helps.
    await until(
      'the camera to be given up',
      async () => (await station.events('camera-unusable')).some(({ code }) => code === 'usb.unresponsive'),
      { timeoutMs: 200_000, everyMs: 500 },
    );
    camera.gadget.function.thawResponder();
    await camera.gadget.function.killResponder();
    await camera.plug();
    await station.untilBays([1], ['ready']);
    await expectStored(station, [camera]);
  }, 400_000);
});
