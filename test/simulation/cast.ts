import type { CameraBody } from './camera-body.ts';
import type { Draws } from './draws.ts';
import type { World } from './world.ts';

/** The cameras of a simulation, some of them with the serial number of another. */
export function addCameras(world: World): void {
  const draws = world.draws.stream('cameras');
  const count = 2 + draws.below(3);
  for (let index = 0; index < count; index++) {
    const isTwin = index > 0 && draws.chance(0.12);
    const family = draws.chance(0.35) ? 'mtp' : 'smp';
    const hasKey = family === 'smp' && draws.chance(0.4);
    const camera = world.addCamera({
      name: 'ABCDEFGH'[index] ?? 'Z',
      serialNumber: isTwin ? 'BC-1' : `BC-${index + 1}`,
      family,
      // From a stream of its own: what the others draw stays as it was.
      channel: world.draws.stream(`lead ${index}`).weighted({ serial: 14, hid: 3, unlocked: 3 }),
      keySeed: hasKey ? draws.bytes(32) : undefined,
      hasFineClock: draws.chance(0.85),
      hasMtpClock: draws.chance(0.15),
      knowsDigest: draws.chance(0.5),
      clockOffsetMs: Math.round(draws.between(-5000, 5000)),
    });
    const recordings = 1 + draws.below(4);
    for (let count = 0; count < recordings; count++) record(camera, draws);
  }
}

/** The camera makes a recording, mostly a short one. */
export function record(camera: CameraBody, draws: Draws): void {
  const { store, model } = camera;
  const sizeBytes = draws.chance(0.05)
    ? 0
    : Math.round(draws.logBetween(10, draws.chance(0.1) ? 40_000 : 6000));
  const number = draws.below(20);
  const path = `/DCIM/REC${String(number).padStart(4, '0')}.MP4`;
  if (store.find({ path })) return;
  store.add(
    {
      id: `R${store.nextId++}`,
      path,
      kind: 'video',
      isProtected: draws.chance(0.2),
      ...timesOf(camera, draws),
      knowsDigest: model.family === 'smp' && model.knowsDigest && draws.chance(0.7),
    },
    draws.bytes(sizeBytes),
  );
}

/** Another recording takes the name of one, and perhaps its size and time: cameras that lost their time do that. */
export function overwrite(world: World, camera: CameraBody, draws: Draws): void {
  const { store } = camera;
  const held = store.list();
  if (held.length === 0) return;
  const { sizeBytes, ...old } = draws.pick(held);
  const isSameTime = draws.chance(0.5);
  const times = isSameTime ? {} : timesOf(camera, draws);
  const size = isSameTime && draws.chance(0.7) ? sizeBytes : draws.below(6000);
  world.story.tell(
    `camera ${camera.model.name} overwrites ${old.path}${isSameTime ? ', with the same time' : ''}`,
  );
  const isNamesake = isSameTime && size === sizeBytes;
  world.story.count(isNamesake ? 'namesake of the same size and time' : 'namesake');
  const id = `R${store.nextId++}`;
  store.overwrite({ sizeBytes, ...old }, { ...old, ...times, id }, draws.bytes(size));
}

/** Whole seconds: MTP knows no finer ones. */
function timesOf(camera: CameraBody, draws: Draws): { startedAt?: number; endedAt?: number } {
  if (camera.model.family === 'smp' && draws.chance(0.1)) return {};
  const endedAt = Math.floor(camera.clockAt / 1000) * 1000;
  return { startedAt: Math.max(0, endedAt - 1000 * (1 + draws.below(600))), endedAt };
}
