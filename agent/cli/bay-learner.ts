import type { LearnedBay } from '../config/bay-entries.ts';
import type { UsbDevice } from '../../dock/host/usb-tree.ts';

/** What came of a look at the tree while bays are learned. */
export type LearnEvent =
  | { readonly kind: 'learned'; readonly bay: number; readonly device: UsbDevice }
  /** The port belongs to a bay that was just taught. */
  | { readonly kind: 'already-taught'; readonly bay: number; readonly device: UsbDevice }
  /** Nobody can tell which of them is meant. */
  | { readonly kind: 'several'; readonly devices: readonly UsbDevice[] };

/** A device must stay so long: contacts bounce while a camera is seated. */
const stayMs = 1000;

interface Newcomer {
  readonly sinceMs: number;
  readonly address: number;
  wasAnnounced: boolean;
}

/**
 * Learns from looks at the USB tree which port each bay is: whoever comes to a port that was seen empty is meant for
 * the bay asked for. Looks need not come at any pace; times are monotonic milliseconds.
 */
export class BayLearner {
  /** The bay that is asked for now; undefined when all are done. */
  #bay: number | undefined;
  readonly #last: number;
  readonly #taught = new Map<string, number>();
  /** Ports that were not empty when the present bay was first asked for, and are not since. */
  #occupied: Set<string>;
  readonly #newcomers = new Map<string, Newcomer>();

  constructor(tree: readonly UsbDevice[], { from, count }: { from: number; count: number }) {
    this.#bay = from;
    this.#last = from + count - 1;
    this.#occupied = new Set(guests(tree).map(({ portPath }) => portPath));
  }

  get bay(): number | undefined {
    return this.#bay;
  }

  get learned(): LearnedBay[] {
    return [...this.#taught].map(([usbPort, number]) => ({ number, usbPort }));
  }

  /** Leaves the bay asked for as it is. */
  skip(): void {
    if (this.#bay !== undefined) this.#bay = this.#bay < this.#last ? this.#bay + 1 : undefined;
  }

  look(tree: readonly UsbDevice[], nowMs: number): LearnEvent | undefined {
    const present = new Map(guests(tree).map((device) => [device.portPath, device]));
    for (const port of this.#occupied) if (!present.has(port)) this.#occupied.delete(port);
    for (const [port, { address }] of this.#newcomers) {
      if (present.get(port)?.address !== address) this.#newcomers.delete(port);
    }
    for (const [portPath, { address }] of present) {
      if (this.#occupied.has(portPath) || this.#newcomers.has(portPath)) continue;
      this.#newcomers.set(portPath, { sinceMs: nowMs, address, wasAnnounced: false });
    }
    const settled = [...this.#newcomers].filter(([, { sinceMs }]) => nowMs - sinceMs >= stayMs);
    const fresh = settled.filter(([, { wasAnnounced }]) => !wasAnnounced);
    return this.#decide(settled, fresh, present);
  }

  #decide(
    settled: readonly [string, Newcomer][],
    fresh: readonly [string, Newcomer][],
    present: ReadonlyMap<string, UsbDevice>,
  ): LearnEvent | undefined {
    const candidates = settled.filter(([port]) => !this.#taught.has(port));
    const [repeated] = fresh.filter(([port]) => this.#taught.has(port));
    const [port, newcomer] = repeated ?? candidates[0] ?? [];
    const device = port === undefined ? undefined : present.get(port);
    if (!device || !newcomer || this.#bay === undefined) return undefined;
    if (repeated) {
      newcomer.wasAnnounced = true;
      return { kind: 'already-taught', bay: this.#taught.get(device.portPath) ?? 0, device };
    }
    if (candidates.length > 1) {
      if (!candidates.some(([, { wasAnnounced }]) => !wasAnnounced)) return undefined;
      for (const [, each] of candidates) each.wasAnnounced = true;
      return { kind: 'several', devices: candidates.flatMap(([at]) => present.get(at) ?? []) };
    }
    const bay = this.#bay;
    this.#taught.set(device.portPath, bay);
    this.#occupied.add(device.portPath);
    this.#newcomers.delete(device.portPath);
    this.skip();
    return { kind: 'learned', bay, device };
  }
}

function guests(tree: readonly UsbDevice[]): UsbDevice[] {
  return tree.filter(({ isHub }) => !isHub);
}
