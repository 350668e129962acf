import { join } from 'node:path';
import type { Clock } from '../../dock/clock.ts';
import { readUsbTree, type UsbDevice } from '../../dock/host/usb-tree.ts';
import type { LearnedBay } from '../config/bay-entries.ts';
import { BayLearner, type LearnEvent } from './bay-learner.ts';
import { printable, type Output } from './output.ts';

/** Plugging is noticed within this time; sysfs is read anew each time, so that nothing depends on hot-plug events. */
const lookEveryMs = 300;

/** What `bays learn --json` prints as it goes, a line each; the last line is a LearnResult. */
export type LearnLine =
  | { readonly kind: 'asked'; readonly bay: number }
  | {
      readonly kind: 'learned' | 'already-taught';
      readonly bay: number;
      readonly usbPort: string;
      readonly device: string;
    }
  | { readonly kind: 'several'; readonly usbPorts: readonly string[] };

/**
 * Asks for one bay after the other until all are learned or the signal aborts; gives back what was learned until
 * then. `onSkip` is told what to call when the person skips a bay.
 */
export async function learnBays(
  { from, count, sysRoot }: { from: number; count: number; sysRoot: string },
  parts: { output: Output; clock: Clock; signal: AbortSignal; onSkip: (skip: () => void) => void },
): Promise<LearnedBay[]> {
  const { output, clock, signal } = parts;
  const look = (): Promise<UsbDevice[]> => readUsbTree({ sysRoot });
  const learner = new BayLearner(await look(), { from, count });
  parts.onSkip(() => learner.skip());
  let asked: number | undefined;
  while (learner.bay !== undefined) {
    if (asked !== learner.bay) {
      asked = learner.bay;
      say(output, { kind: 'asked', bay: asked });
    }
    const isOver = await clock.sleep(lookEveryMs, signal).then(
      () => false,
      () => true,
    );
    if (isOver) break;
    const event = learner.look(await look(), clock.monotonic());
    if (event) say(output, lineOf(event));
  }
  return learner.learned;
}

function lineOf(event: LearnEvent): LearnLine {
  if (event.kind === 'several') {
    return { kind: event.kind, usbPorts: event.devices.map(({ portPath }) => portPath) };
  }
  const { manufacturer, product, portPath } = event.device;
  const device = `${manufacturer} ${product}`.trim() || 'a device without a name';
  return { kind: event.kind, bay: event.bay, usbPort: portPath, device };
}

/** Lines of the conversation are no result: standard output is left to the entries. */
function say(output: Output, line: LearnLine): void {
  if (output.isJson) output.item(line, () => '');
  else process.stderr.write(`${printable(wording(line))}\n`);
}

function wording(line: LearnLine): string {
  switch (line.kind) {
    case 'asked': {
      const how = process.stdin.isTTY ? ' (Enter skips it, Ctrl-C ends)' : '';
      return `Plug a camera into bay ${line.bay} …${how}`;
    }
    case 'learned':
      return `Bay ${line.bay} is port ${line.usbPort}: ${line.device}`;
    case 'already-taught':
      return `Port ${line.usbPort} is bay ${line.bay} already: ${line.device}. Use another bay.`;
    case 'several':
      return `Several devices came: ${line.usbPorts.join(', ')}. Take out all but one.`;
  }
}

/** Where the privileged helper looks for the ports that it may touch. */
export function bayPortsFile(root: string): string {
  return join(root, 'etc/docking-station/bay-ports');
}
