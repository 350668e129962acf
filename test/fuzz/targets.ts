import type { FuzzTarget } from './target.ts';
import { assignmentTargets } from './targets/assignments.ts';
import { commandTargets } from './targets/commands.ts';
import { machineTargets } from './targets/machine.ts';
import { smpTargets } from './targets/smp.ts';
import { textTargets } from './targets/texts.ts';
import { usbTargets } from './targets/usb.ts';

/** Every border at which bytes of somebody else come in. */
export const fuzzTargets: readonly FuzzTarget[] = [
  ...smpTargets,
  ...usbTargets,
  ...textTargets,
  ...assignmentTargets,
  ...commandTargets,
  ...machineTargets,
];
