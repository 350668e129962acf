import type { BayState } from '../../agent/session/bay-board.ts';
import type { CameraBody } from './camera-body.ts';
import { cureEverything, expectServedBays } from './safety.ts';
import type { World } from './world.ts';

const stepMs = 20_000;
const convergeMs = 6 * 3_600_000;

/**
 * A time without faults: everything that could not be done before must be done now, in bounded time, for every camera;
 * and a restart must come to the same conclusions.
 */
export async function livenessPhase(world: World): Promise<void> {
  cureEverything(world);
  const draws = world.draws.stream('liveness');
  world.settings.headcount = draws.chance(0.8) ? 20 : world.settings.headcount;
  world.settings.bays = 2 + draws.below(3);
  if (draws.chance(0.7)) world.settings.removal = 'when-verified';
  world.life.dieAt(Infinity);
  for (const bay of world.bays.keys()) world.undock(bay);
  await untilUp(world);
  if (await world.stop()) world.start();
  await untilUp(world);
  const rounds = roundsOf(world);
  const restarted = draws.below(rounds.length);
  for (const [index, round] of rounds.entries()) {
    for (const [place, camera] of round.entries()) world.dock(camera, place + 1);
    await converge(world, 'no promise kept in time', (phases) => unmet(world, phases));
    world.oracles.everything();
    if (world.story.violations.length > 0) return;
    if (index === restarted) await expectSameAfterRestart(world);
    for (const bay of world.bays.keys()) world.undock(bay);
    // Until the last camera is forgotten by its bay.
    await world.advance(2 * world.pace.presenceMs + 15_000);
  }
  await world.stop();
  world.oracles.everything();
}

/** As many cameras at a time as there are bays, never two of one serial number. */
function roundsOf(world: World): CameraBody[][] {
  const rounds: CameraBody[][] = [];
  for (const camera of world.cameras) {
    const { serialNumber } = camera.model;
    const fits = (round: CameraBody[]): boolean =>
      round.length < world.settings.bays && round.every(({ model }) => model.serialNumber !== serialNumber);
    const round = rounds.find(fits);
    if (round) round.push(camera);
    else rounds.push([camera]);
  }
  return rounds;
}

async function untilUp(world: World): Promise<void> {
  world.start();
  for (let waitedMs = 0; !world.isAgentUp && waitedMs < convergeMs; waitedMs += stepMs)
    await world.advance(stepMs);
  if (!world.isAgentUp) world.story.violate(7, 'does not come up');
}

async function converge(
  world: World,
  what: string,
  find: (phases: readonly BayState[]) => string[],
): Promise<void> {
  // Before it had a look the agent shows what was there before.
  await world.advance(2 * world.pace.presenceMs);
  for (let waitedMs = 0; ; waitedMs += stepMs) {
    await world.advance(stepMs);
    expectServedBays(world);
    const missing = find(await world.phases());
    if (missing.length === 0) return;
    if (waitedMs < convergeMs) continue;
    for (const each of missing) world.story.violate(7, `${what}: ${each}`);
    return;
  }
}

/** What is not yet as it must end up. */
function unmet(world: World, phases: readonly BayState[]): string[] {
  const missing = [...world.bays].flatMap(([bay, camera]) => {
    const state = phases.find((each) => each.bay === bay);
    return state
      ? unmetIn(world, camera, state).map((each) => `bay ${bay}: ${each}`)
      : [`bay ${bay} is not there`];
  });
  const waiting = world.oracles.undelivered();
  return waiting === 0 ? missing : [...missing, `${waiting} events have not arrived`];
}

function unmetIn(world: World, { model, store }: CameraBody, state: BayState): string[] {
  const { serialNumber } = model;
  const { oracles, settings } = world;
  const shown = `shows ${state.phase} ${state.code ?? ''}`;
  const [row] = oracles.all('SELECT state, public_key FROM enrolment WHERE serial_number = ?', serialNumber);
  if (row?.['state'] !== 'enrolled') {
    if (state.phase !== 'refused') return [`${serialNumber} is not enrolled, ${shown}`];
    const isRight =
      settings.enrolment === 'manual' || row?.['state'] === 'retired' || oracles.freePlaces() <= 0;
    return isRight ? [] : [`${serialNumber} is refused as ${state.code} although there is a place`];
  }
  // Another camera of this serial number came first and has a key.
  const isDoubted = ['camera.impostor', 'camera.unproven', 'bay.faulty'].includes(state.code ?? '');
  const hasNoKey = row['public_key'] !== null && model.keySeed === undefined;
  if (state.code === 'camera.impostor' || (isDoubted && hasNoKey))
    return world.hasTwin(model) ? [] : [`${serialNumber} is called an impostor`];
  const held = store
    .list()
    .map((recording) => ({ ...recording, bytes: store.bytes(recording.id) ?? new Uint8Array() }));
  // A copy that rotted is noticed where something is to be removed, and pulled again.
  const sound = held.filter(
    ({ bytes }) => settings.removal !== 'never' || !oracles.isSpoilt(serialNumber, bytes),
  );
  const unsafe = sound.flatMap(({ path, bytes }) => {
    const why = oracles.whyUnsafe(serialNumber, bytes);
    return why === undefined ? [] : [`${path}: ${why}; ${shown}`];
  });
  if (unsafe.length > 0) return unsafe;
  if (settings.removal === 'when-verified' && sound.length > 0)
    return [`${sound.length} recordings are not removed`];
  return state.phase === 'ready' ? [] : [shown];
}

async function expectSameAfterRestart(world: World): Promise<void> {
  const before = conclusions(world, await world.phases());
  if (!(await world.stop())) return;
  world.start();
  await untilUp(world);
  await converge(world, 'other conclusions after a restart', (phases) => {
    const after = conclusions(world, phases);
    return before
      .filter((fact) => !after.includes(fact))
      .concat(after.filter((fact) => !before.includes(fact)).map((fact) => `new: ${fact}`));
  });
}

function conclusions(world: World, phases: readonly BayState[]): string[] {
  return [
    ...phases
      .filter(({ bay }) => world.bays.has(bay))
      .map(({ bay, phase, serialNumber, code }) => `bay ${bay} ${phase} ${serialNumber ?? ''} ${code ?? ''}`),
    ...world.oracles
      .all('SELECT id, sha256 FROM recording')
      .map(({ id, sha256 }) => `recording ${String(id)} ${String(sha256)}`),
    ...world.oracles
      .all('SELECT serial_number, state FROM enrolment')
      .map((row) => `${String(row['serial_number'])} ${String(row['state'])}`),
    ...world.oracles
      .all('SELECT source_key, code FROM quarantine')
      .map((row) => `quarantined ${String(row['source_key'])} ${String(row['code'])}`),
  ];
}
