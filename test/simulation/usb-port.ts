import type { UsbHost } from '../../dock/bay/usb-bay.ts';
import { cameraProfileSchema } from '../../dock/camera/profile.ts';
import type { HidPipe } from '../../dock/camera/hid-pipe.ts';
import type { PtpPipe } from '../../dock/camera/ptp-pipe.ts';
import type { UsbDevice } from '../../dock/host/usb-tree.ts';
import type { ByteLink } from '../../dock/link.ts';
import type { Life } from './life.ts';
import type { Scheduler } from './scheduler.ts';

/** SMP over HID reports, alone or as the control channel of a camera that is unlocked to MTP. */
export const usbProfiles = [
  {
    name: 'unlockable',
    modes: [
      { match: { product_id: '0002' }, control: 'smp-hid', unlock: 'mtp' },
      { match: { product_id: '0003' }, recordings: 'mtp' },
    ],
  },
  { name: 'hid', modes: [{ match: { product_id: '0001' }, control: 'smp-hid', recordings: 'control' }] },
].map((profile) => cameraProfileSchema.parse(profile));

const productIds = { hid: 1, locked: 2, unlocked: 3 } as const;
const classes = { hid: '03/00/00', locked: '03/00/00', unlocked: '06/01/01' } as const;

/** The port that one camera is plugged into, as the kernel shows it. */
export class UsbPort {
  readonly #name: string;
  readonly #serialNumber: string;
  readonly #scheduler: Scheduler;
  readonly #first: 'hid' | 'locked';
  #shows: keyof typeof productIds;
  #attachments = 1;
  #attachedMs = 0;

  /** `name` tells it from a twin of the same serial number. */
  constructor(
    { name, serialNumber }: { readonly name: string; readonly serialNumber: string },
    first: 'hid' | 'locked',
    scheduler: Scheduler,
  ) {
    this.#name = name;
    this.#serialNumber = serialNumber;
    this.#first = first;
    this.#shows = first;
    this.#scheduler = scheduler;
  }

  /** It is there again from a moment on, as another device for the kernel; nothing is there until then. */
  attach(shows: 'first' | 'unlocked', atMs = this.#scheduler.nowMs): void {
    this.#shows = shows === 'first' ? this.#first : shows;
    this.#attachments++;
    this.#attachedMs = atMs;
  }

  /** As one run of the agent has it. */
  hostFor(life: Life, open: { readonly hid: () => HidPipe; readonly ptp: () => PtpPipe }): UsbHost {
    const refuse = (): Promise<never> => Promise.reject(new Error('no such channel'));
    return {
      readDevice: () => life.operate('read a port', 1, () => this.#device()),
      attachment: async ({ portPath, attachId }) => ({
        place: portPath,
        id: attachId,
        attachedAt: Math.round(life.clock.now() - (this.#scheduler.nowMs - this.#attachedMs)),
      }),
      openHid: () => life.operate('open a HID device', 1, open.hid),
      openPtp: () => life.operate('open an MTP device', 1, open.ptp),
      openSerial: refuse,
      mount: refuse,
      powerCycle: async () => false,
    };
  }

  #device(): UsbDevice | undefined {
    if (this.#scheduler.nowMs < this.#attachedMs) return undefined;
    return {
      portPath: '1-1',
      busNumber: 1,
      address: 1 + (this.#attachments % 127),
      attachId: `${this.#name}-${this.#attachments}`,
      vendorId: 0x1209,
      productId: productIds[this.#shows],
      manufacturer: 'Sim',
      product: 'BC-1',
      serialNumber: this.#serialNumber,
      speedMbps: 480,
      maxPowerMa: 500,
      isHub: false,
      isAuthorized: true,
      interfaces: [
        {
          number: 0,
          classTriple: classes[this.#shows],
          description: '',
          driver: undefined,
          isAuthorized: true,
          endpoints: 2,
          ttys: [],
          hidraws: [],
          blockDevices: [],
        },
      ],
    };
  }
}

/** HID reports over a cable: it keeps what is written at once together. */
export function hidOver(link: ByteLink): HidPipe {
  return {
    name: link.name,
    reportBytes: 64,
    reportIntervalMs: 1,
    closed: link.closed,
    onReport: (receiver) => link.onBytes(receiver),
    write: (report) => link.write(report),
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}
