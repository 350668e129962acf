import type { CameraFaults } from '../../dock/simulator/faults.ts';
import type { PtpFaults } from '../../dock/simulator/ptp-faults.ts';
import type { CameraBody } from './camera-body.ts';
import type { Draws } from './draws.ts';
import type { World } from './world.ts';

const smpAilments: Readonly<Record<string, (draws: Draws) => CameraFaults>> = {
  'corrupts bytes': (draws) => ({ corruptOneByteIn: Math.round(draws.logBetween(300, 30_000)) }),
  'loses answers': (draws) => ({ loseOneIn: 3 + draws.below(30) }),
  'delays answers': (draws) => ({ delayOneIn: 3 + draws.below(20) }),
  'repeats answers': () => ({ repeatAnswers: true }),
  'forges answers': () => ({ forgeAnswers: true }),
  'writes log text': () => ({ logText: true }),
  'stalls downloads': (draws) => ({ stallAfterBytes: 1 + draws.below(10_000) }),
  'loses contact': (draws) => ({ unplugAfterBytes: 1 + draws.below(20_000) }),
  'lies about digests': () => ({ wrongDigest: true }),
  'lies about sizes': (draws) => ({ lyingSizeBytes: BigInt(1 + draws.below(3000)) }),
  'refuses removal': () => ({ refuseRemoval: true }),
  'is frozen': () => ({ silent: true }),
  'has no time': () => ({ clockNeverSet: true }),
};

const ptpAilments: Readonly<Record<string, (draws: Draws) => Partial<PtpFaults>>> = {
  'loses answers': (draws) => ({ loseOneIn: 3 + draws.below(20) }),
  'dies in transfers': (draws) => ({ dieAfterBytes: 1 + draws.below(6000) }),
  'loses contact': (draws) => ({ unplugAfterBytes: 1 + draws.below(10_000) }),
  'refuses removal': () => ({ refuseRemoval: 0x200f }),
  'keeps what it removed': () => ({ keepsRemoved: true }),
  'stalls downloads': () => ({ silent: 'downloads' }),
  'is silent until reopened': () => ({ silent: 'until reopened' }),
  'is silent until reset': () => ({ silent: 'until reset' }),
  'is frozen': () => ({ silent: 'everything' }),
  'splits headers': () => ({ splitHeader: true }),
  'glues responses': () => ({ gluedResponse: true }),
  'ends aligned data bare': () => ({ afterAligned: 'nothing' }),
  'answers twice': () => ({ strayResponses: true, answersDataTwice: true }),
  'shows its storage late': (draws) => ({ lateStorages: 1 + draws.below(5) }),
};

/** Something is wrong with a camera from now on. */
export function ail(world: World, camera: CameraBody, draws: Draws): void {
  if (camera.model.family === 'smp' && draws.chance(0.15)) {
    camera.lagMs = draws.between(50, 650);
    note(world, camera, 'answers late');
    return;
  }
  const what = draws.pick(Object.keys(camera.model.family === 'smp' ? smpAilments : ptpAilments));
  note(world, camera, what);
  if (camera.model.family === 'smp') Object.assign(camera.faults, smpAilments[what]?.(draws));
  else Object.assign(camera.ptpFaults, ptpAilments[what]?.(draws));
}

export function heal(camera: CameraBody): void {
  for (const name of Object.keys(camera.faults)) Reflect.deleteProperty(camera.faults, name);
  camera.ptpFaults = {};
  camera.lagMs = 0;
}

function note(world: World, camera: CameraBody, what: string): void {
  world.story.tell(`camera ${camera.model.name} ${what}`);
  world.story.count(`camera (${camera.model.family}) ${what}`);
}
