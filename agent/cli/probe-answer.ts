import type { ProfileMiss } from '../../dock/camera/recognise.ts';
import type { NodeAccess } from '../../dock/host/node-access.ts';
import type { BlockDevice } from '../../dock/host/usb-tree.ts';

/** What `dockctl probe --json` prints. Strings of devices are as they gave them. */
export interface ProbeAnswer {
  /** The configuration that bays and profiles were taken from; null when there is none. */
  readonly configFile: string | null;
  /** Why the configuration or its profiles could not be used; then there are no bays and only built-in profiles. */
  readonly configProblem: { readonly code: string; readonly message: string } | null;
  /** Names of the profiles in the order in which they are tried. */
  readonly profiles: readonly string[];
  /** Kernel memory for USB transfers of all programs, in MiB; 0 is no limit, null when the kernel does not say. */
  readonly usbfsMemoryMb: number | null;
  /** Hubs included, root hubs not, in the order of their port paths. */
  readonly usb: readonly ProbedDevice[];
  readonly hid: readonly ProbedHid[];
  readonly serial: readonly ProbedSerial[];
  /** Bays on USB ports with nothing in them. */
  readonly emptyBays: readonly { readonly bay: number; readonly usbPort: string }[];
}

export interface ProbedDevice {
  readonly portPath: string;
  /** The hub it is plugged into; null for a port of the computer itself. */
  readonly hubPortPath: string | null;
  readonly address: number;
  /** Four hex digits each. */
  readonly vendorId: string;
  readonly productId: string;
  readonly manufacturer: string;
  readonly product: string;
  readonly serialNumber: string;
  readonly speedMbps: number;
  readonly maxPowerMa: number | null;
  readonly isHub: boolean;
  readonly isAuthorized: boolean;
  readonly node: ProbedNode;
  readonly interfaces: readonly ProbedInterface[];
  /** The bay of the configuration on this port. */
  readonly bay: number | null;
  readonly takenFor: TakenFor;
  /** Every profile but the one it is taken for, and why not; without reasons it fits too and comes later. */
  readonly otherProfiles: readonly ProfileMiss[];
}

export type TakenFor =
  | { readonly kind: 'hub' }
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'camera';
      readonly profile: string;
      /** Index into the modes of the profile, and what that mode offers. */
      readonly mode: number;
      readonly control: string | null;
      readonly recordings: string | null;
      readonly unlock: string | null;
    }
  /** Nothing of it is used; `unexpected` are the class triples that no camera, or not this one, has. */
  | { readonly kind: 'stranger'; readonly unexpected: readonly string[] };

export interface ProbedInterface {
  readonly number: number;
  readonly classTriple: string;
  readonly className: string;
  readonly description: string;
  readonly driver: string | null;
  readonly isAuthorized: boolean;
  readonly endpoints: number;
  readonly nodes: readonly ProbedNode[];
  readonly blockDevices: readonly BlockDevice[];
}

/** A device node, and whether the user of this command may open it. */
export interface ProbedNode {
  readonly path: string;
  readonly access: NodeAccess;
}

export interface ProbedHid {
  readonly node: ProbedNode;
  readonly bus: 'usb' | 'bluetooth' | 'other';
  readonly vendorId: string;
  readonly productId: string;
  readonly name: string;
  /** Usage page and usage of its first collection, such as `ff00/01`. */
  readonly usage: string | null;
  /** Null when it is not on USB. */
  readonly usbInterface: string | null;
}

export interface ProbedSerial {
  readonly node: ProbedNode;
  readonly driver: string | null;
  /** Null when it is not on USB. */
  readonly usbInterface: string | null;
  /** Names for the configuration that stay the same. */
  readonly links: readonly string[];
}

/** What `dockctl probe --draft --json` prints. */
export interface DraftAnswer {
  readonly port: string;
  /** Where the draft was put; null when it was only printed. */
  readonly file: string | null;
  readonly toml: string;
}

/** What `dockctl probe --dump --json` prints. */
export interface DumpAnswer {
  readonly file: string;
  /** What the file holds, for people. */
  readonly contents: string;
}
