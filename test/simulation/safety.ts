import { ail, heal } from './ailments.ts';
import { overwrite, record } from './cast.ts';
import type { CameraBody } from './camera-body.ts';
import type { Draws } from './draws.ts';
import type { World } from './world.ts';

type Act = (world: World, draws: Draws) => void | Promise<void>;

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** What people, cameras, disks, brokers and power do to a station, and how often. */
const acts: Readonly<Record<string, { readonly weight: number; readonly act: Act }>> = {
  dock: { weight: 24, act: dock },
  undock: {
    weight: 9,
    act: (world, draws) => eachPicked([...world.bays.keys()], draws, (bay) => world.undock(bay)),
  },
  record: { weight: 8, act: (world, draws) => record(draws.pick(world.cameras), draws) },
  overwrite: {
    weight: 3,
    act: (world, draws) => eachPicked(undocked(world), draws, (camera) => overwrite(world, camera, draws)),
  },
  ail: { weight: 12, act: (world, draws) => ail(world, draws.pick(world.cameras), draws) },
  heal: { weight: 7, act: (world, draws) => heal(draws.pick(world.cameras)) },
  reboot: { weight: 3, act: (world, draws) => reboot(world, draws.pick(world.cameras), draws) },
  'jump a camera clock': {
    weight: 2,
    act: (world, draws) => jumpClock(world, draws.pick(world.cameras), draws),
  },
  'step the station clock': { weight: 3, act: stepClock },
  'disk trouble': { weight: 7, act: troubleDisk },
  'disk well': { weight: 5, act: (world) => cureDisk(world) },
  'bit rot': { weight: 2, act: rot },
  'broker trouble': { weight: 6, act: troubleBroker },
  'broker gone for days': { weight: 0.05, act: missBroker },
  'broker well': { weight: 4, act: (world) => cureBroker(world) },
  'plan a death': { weight: 10, act: planDeath },
  'stop and start': { weight: 4, act: restart },
  'dockctl enrol': { weight: 3, act: enrol },
  'dockctl retire': { weight: 2, act: retire },
  'dockctl verify': {
    weight: 1,
    act: (world) => world.ask('verify', ({ verify }, reply) => verify({}, reply)),
  },
};

/**
 * What somebody at the station asks of bays besides, in some seeds. By draws of its own: seeds without it keep the
 * stories by which they are named.
 */
const asks: readonly Act[] = [
  pause,
  pause,
  (world) => world.ask('resume', ({ resume }, reply) => resume({}, reply)),
  (world) => world.ask('pull', ({ pull }, reply) => pull({}, reply)),
  (world) => world.ask('pull in bay 1', ({ pull }, reply) => pull({ bay: 1 }, reply)),
];

/** A time with faults: whatever happens, no promise is ever broken. */
export async function safetyPhase(world: World): Promise<void> {
  const draws = world.draws.stream('safety');
  const weights = Object.fromEntries(Object.entries(acts).map(([name, { weight }]) => [name, weight]));
  const count = 12 + draws.below(30);
  const technician = world.draws.stream('somebody is there');
  const isThere = technician.chance(0.3);
  world.start();
  await world.advance(draws.between(0, 20_000));
  for (let ghosts = draws.below(6); ghosts > 0; ghosts--) {
    await enrol(world, draws);
    await world.advance(100);
  }
  for (let index = 0; index < count; index++) {
    // Each act draws for itself, so that one more draw in one of them leaves the others as they are.
    const own = draws.stream(`act ${index}`);
    await acts[own.weighted(weights)]?.act(world, own);
    if (isThere && technician.chance(0.3)) await technician.pick(asks)(world, technician);
    await world.advance(own.chance(0.005) ? own.between(0.5, 4) * hourMs : own.logBetween(300, 300_000));
    expectServedBays(world);
  }
}

/** No faults from now on, the station is complete, the clock is right. */
export function cureEverything(world: World): void {
  world.story.tell('faults end here');
  for (const camera of world.cameras) heal(camera);
  cureDisk(world);
  cureBroker(world);
  world.correctClock();
}

/** A bay with a camera in it that nobody looks at any more is hung, whatever happens in the others. */
export function expectServedBays(world: World): void {
  if (!world.isAgentUp) return;
  const { presenceMs, retryMs } = world.pace;
  const patienceMs = 16 * retryMs + 2 * presenceMs + 15 * 60_000;
  for (const [bay, camera] of world.bays) {
    const waitsSinceMs = Math.max(camera.lastServedMs, world.upSinceMs, world.pausedUntilMs);
    const isQuiet = world.scheduler.nowMs - waitsSinceMs > patienceMs;
    if (isQuiet && bay <= world.settings.bays) world.story.violate(6, `bay ${bay} is hung`);
  }
}

function dock(world: World, draws: Draws): void {
  const free = Array.from({ length: world.settings.bays }, (_, index) => index + 1).filter(
    (bay) => !world.bays.has(bay),
  );
  eachPicked(undocked(world), draws, (camera) => eachPicked(free, draws, (bay) => world.dock(camera, bay)));
}

function reboot(world: World, camera: CameraBody, draws: Draws): void {
  world.story.tell(`camera ${camera.model.name} reboots`);
  world.story.count('camera reboots');
  camera.reboot(draws.between(1000, 60_000));
}

function jumpClock(world: World, camera: CameraBody, draws: Draws): void {
  const ms = Math.round(draws.pick([-1, 1]) * draws.logBetween(500, 400 * dayMs));
  world.story.tell(`the clock of camera ${camera.model.name} jumps by ${ms} ms`);
  world.story.count('camera clock jumps');
  camera.jumpClock(ms);
}

function stepClock(world: World, draws: Draws): void {
  const isLost = draws.chance(0.15);
  const ms = isLost
    ? -world.scheduler.wallAt
    : Math.round(draws.pick([-1, 1]) * draws.logBetween(100, 400 * dayMs));
  world.story.tell(`the station clock steps by ${ms} ms`);
  world.story.count(isLost ? 'station clock starts at 1970' : 'station clock steps');
  world.stepClock(ms);
}

function troubleDisk(world: World, draws: Draws): void {
  const kind = draws.weighted({ errors: 4, slow: 2, full: 3, database: 2, corrupt: 2 });
  world.story.tell(`disk trouble: ${kind}`);
  world.story.count(`disk trouble: ${kind}`);
  if (kind === 'errors') world.disk.faults.failOneIn = Math.round(draws.logBetween(2, 100));
  if (kind === 'slow') world.disk.faults.slowOneIn = Math.round(draws.logBetween(2, 30));
  if (kind === 'corrupt') world.disk.faults.corruptOneIn = 1 + draws.below(6);
  if (kind === 'full') world.disk.fill(draws.below(8000));
  if (kind === 'database') world.databaseFaults.failOneIn = Math.round(draws.logBetween(3, 60));
}

function cureDisk(world: World): void {
  Object.assign(world.disk.faults, { failOneIn: 0, slowOneIn: 0, corruptOneIn: 0, othersBytes: 0 });
  world.databaseFaults.failOneIn = 0;
}

function rot(world: World, draws: Draws): void {
  const path = world.disk.rot(draws);
  if (path === undefined) return;
  world.story.tell(`a bit of ${path} flips`);
  world.story.count('bit rot');
}

function troubleBroker(world: World, draws: Draws): void {
  const kind = draws.weighted({ refuses: 2, silent: 2, drops: 3, 'loses acknowledgements': 2, late: 2 });
  world.story.tell(`broker trouble: ${kind}`);
  const { faults } = world.broker;
  if (kind === 'refuses' || kind === 'silent') {
    faults.state = kind;
    world.broker.hangUp();
  }
  if (kind === 'drops') faults.dropOneIn = 1 + draws.below(20);
  if (kind === 'loses acknowledgements') faults.loseAckOneIn = 2 + draws.below(20);
  if (kind === 'late') faults.lateOneIn = 1 + draws.below(10);
}

async function missBroker(world: World, draws: Draws): Promise<void> {
  world.story.tell('the broker is gone for days');
  world.story.count('broker gone for days');
  for (const bay of world.bays.keys()) world.undock(bay);
  world.broker.faults.state = 'refuses';
  world.broker.hangUp();
  await world.advance(draws.between(1, 2) * dayMs);
}

function cureBroker(world: World): void {
  Object.assign(world.broker.faults, { state: 'up', dropOneIn: 0, loseAckOneIn: 0, lateOneIn: 0 });
}

/** The agent dies in the middle of something, soon; or where a crash hurts most, once it comes there. */
function planDeath(world: World, draws: Draws): void {
  if (draws.chance(0.5)) world.life.dieAt(Math.round(draws.logBetween(1, 300)));
  else world.life.dieAt(Math.round(draws.logBetween(1, 20)), draws.pick(deadlyKinds));
}

const deadlyKinds = [
  'append',
  'sync ',
  'read ',
  'link',
  'remove',
  'syncFolder',
  'close',
  'commit',
  'publish',
];

async function restart(world: World, draws: Draws): Promise<void> {
  if (draws.chance(0.3)) planDeath(world, draws);
  const isStopped = await world.stop();
  if (!isStopped) return;
  change(world, draws);
  await world.advance(draws.logBetween(100, 600_000));
  world.start();
}

/** Somebody edits the configuration. */
export function change(world: World, draws: Draws): void {
  const { settings } = world;
  if (draws.chance(0.5)) settings.removal = draws.pick(['never', 'when-verified']);
  if (draws.chance(0.2)) settings.enrolment = draws.pick(['automatic', 'manual']);
  if (draws.chance(0.3)) settings.headcount = draws.pick([undefined, 0, 20, 50, 51, 120]);
  if (draws.chance(0.3)) settings.bays = 1 + draws.below(4);
  for (const bay of world.bays.keys()) if (bay > settings.bays) world.undock(bay);
}

async function enrol(world: World, draws: Draws): Promise<void> {
  const serialNumber = draws.chance(0.6)
    ? `GHOST-${draws.below(6)}`
    : draws.pick(world.cameras).model.serialNumber;
  world.ask(`enrol ${serialNumber}`, ({ enrol }, reply) =>
    enrol({ serialNumber, by: 'officer', reason: 'by hand' }, reply),
  );
}

function retire(world: World, draws: Draws): void {
  const serialNumber = draws.chance(0.7)
    ? `GHOST-${draws.below(6)}`
    : draws.pick(world.cameras).model.serialNumber;
  world.ask(`retire ${serialNumber}`, ({ retire }, reply) =>
    retire({ serialNumber, by: 'officer', cause: 'broken', note: '' }, reply),
  );
}

function pause(world: World, draws: Draws): void {
  const forSeconds = Math.round(draws.logBetween(1, 1000));
  const bay = draws.pick([undefined, 1]);
  world.pausedUntilMs = Math.max(world.pausedUntilMs, world.scheduler.nowMs + forSeconds * 1000);
  world.ask(`pause ${bay ?? 'all'} for ${forSeconds} s`, ({ pause: pauseBays }, reply) =>
    pauseBays({ ...(bay !== undefined && { bay }), forSeconds, by: 'officer' }, reply),
  );
}

function undocked(world: World): CameraBody[] {
  return world.cameras.filter((camera) => world.bayOf(camera) === undefined);
}

function eachPicked<T>(choices: readonly T[], draws: Draws, work: (choice: T) => void): void {
  if (choices.length > 0) work(draws.pick(choices));
}
