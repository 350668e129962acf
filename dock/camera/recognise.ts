import { matchesGlob } from 'node:path/posix';
import type { UsbDevice } from '../host/usb-tree.ts';
import type { CameraMode, CameraProfile } from './profile.ts';

/** What a device in a bay is taken for. */
export type Recognition =
  | { readonly kind: 'camera'; readonly profile: CameraProfile; readonly mode: CameraMode }
  /** Matches no profile, but shows nothing that a camera does not show. */
  | { readonly kind: 'unknown'; readonly misses: readonly ProfileMiss[] }
  /** Shows an interface that is not part of what it is taken for; nothing of it may be used. */
  | { readonly kind: 'stranger'; readonly unexpected: readonly string[] };

/** Why a profile does not match: for each of its modes the first thing that differs. */
export interface ProfileMiss {
  readonly profile: string;
  readonly reasons: readonly string[];
}

/** Classes by which the channels of a camera are reached. */
const channelInterfaces = {
  // Protocol ff of the serial subclass is RNDIS, a network card.
  'smp-serial': [
    '02/02/00',
    '02/02/01',
    '02/02/02',
    '02/02/03',
    '02/02/04',
    '02/02/05',
    '02/02/06',
    '0a/00/',
  ],
  'smp-hid': ['03/00/00'],
  mtp: ['06/01/01'],
  'mass-storage': ['08/06/50', '08/06/62'],
} as const satisfies Record<string, readonly string[]>;

/** What a device that matches no profile may show and still be a camera. */
const cameraInterfaces = Object.values(channelInterfaces).flat();

/** The first profile with a mode that matches decides; within it the first mode. */
export function recognise(device: UsbDevice, profiles: readonly CameraProfile[]): Recognition {
  const misses: ProfileMiss[] = [];
  for (const profile of profiles) {
    const reasons = profile.modes.map((mode) => mismatch(device, mode));
    const mode = profile.modes[reasons.indexOf(undefined)];
    if (!mode) {
      misses.push({ profile: profile.name, reasons: reasons.map(String) });
      continue;
    }
    const unexpected = unexpectedInterfaces(device, expectedInterfaces(mode));
    return unexpected.length > 0 ? { kind: 'stranger', unexpected } : { kind: 'camera', profile, mode };
  }
  const unexpected = unexpectedInterfaces(device, cameraInterfaces);
  if (device.isHub) return { kind: 'stranger', unexpected: ['hub'] };
  return unexpected.length > 0 ? { kind: 'stranger', unexpected } : { kind: 'unknown', misses };
}

/** Why each mode of a profile does not match a device, in their order; undefined when one of them does. */
export function missOf(device: UsbDevice, profile: CameraProfile): ProfileMiss | undefined {
  const reasons = profile.modes.map((mode) => mismatch(device, mode));
  if (reasons.includes(undefined)) return undefined;
  return { profile: profile.name, reasons: reasons.map(String) };
}

/** Says what about a device differs from a mode; undefined when it matches. */
function mismatch(device: UsbDevice, { match }: CameraMode): string | undefined {
  const vendorId = hex(device.vendorId);
  const productId = hex(device.productId);
  if (match.vendor_id !== undefined && match.vendor_id !== vendorId) {
    return `vendor id is ${vendorId}, not ${match.vendor_id}`;
  }
  if (match.product_id !== undefined && match.product_id !== productId) {
    return `product id is ${productId}, not ${match.product_id}`;
  }
  if (match.manufacturer !== undefined && !device.manufacturer.includes(match.manufacturer)) {
    return `manufacturer is "${device.manufacturer}", without "${match.manufacturer}"`;
  }
  if (match.product !== undefined && !device.product.includes(match.product)) {
    return `product is "${device.product}", without "${match.product}"`;
  }
  const shown = device.interfaces.map(({ classTriple }) => classTriple);
  const missing = match.interfaces?.find((triple) => !shown.includes(triple));
  return missing === undefined ? undefined : `there is no interface ${missing}`;
}

function expectedInterfaces({ match, control, recordings }: CameraMode): string[] {
  const channels = [control, recordings].filter((channel) => channel !== undefined && channel !== 'control');
  return [...(match.interfaces ?? []), ...channels.flatMap((channel) => channelInterfaces[channel])];
}

function unexpectedInterfaces(device: UsbDevice, expected: readonly string[]): string[] {
  return device.interfaces
    .map(({ classTriple }) => classTriple)
    .filter((triple) => !expected.some((start) => triple.startsWith(start)));
}

/** Whether a path below the root of a storage names a recording of this model. */
export function isRecordingOf(profile: CameraProfile): (path: string) => boolean {
  const patterns = profile.recordings.map((pattern) => pattern.toLowerCase());
  return (path) => {
    const name = path.toLowerCase().replace(/^\/+/, '');
    return patterns.some((pattern) => matchesGlob(name, pattern));
  };
}

/** A USB id as it is written everywhere: four hex digits. */
export function hex(id: number): string {
  return id.toString(16).padStart(4, '0');
}
