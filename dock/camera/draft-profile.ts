import { stringify } from 'smol-toml';
import { DockError } from '../../protocol/errors.ts';
import type { HidUsage } from '../host/hid-list.ts';
import { usbClassName } from '../host/usb-class-names.ts';
import type { UsbDevice, UsbInterface } from '../host/usb-tree.ts';
import { cameraProfileSchema, type CameraMode } from './profile.ts';
import { hex } from './recognise.ts';

/** What is known about a device besides its descriptors. */
export interface DraftFacts {
  /** First usages of its HID interfaces, by the names of their hidraw nodes. */
  readonly usages: ReadonlyMap<string, HidUsage>;
  /** Names of profiles that there are already. */
  readonly takenNames: readonly string[];
}

/** Ids of the Linux gadget drivers, used by many makers. Source: drivers/usb/gadget. */
const sharedVendors = ['1d6b', '0525'];
/** Triples, or their beginnings, of what no camera needs. */
const refusedClasses = ['02/02/ff', '02/06', '02/0d', '02/0e', '07', '09', '0b', 'e0'];
const longestText = 128;
const longestDescription = 500;

/**
 * A camera profile for a device on a port of this station, as TOML with comments on what was seen and what to check.
 * It is valid as it stands and removes nothing from cameras. Errors: `camera.stranger` for hubs, keyboards, mice,
 * network cards; `camera.unknown-model` when there is nothing to recognise it by.
 */
export function draftProfile(device: UsbDevice, facts: DraftFacts): string {
  refuseStrangers(device, facts.usages);
  const { control, recordings } = channelsOf(device);
  const vendorId = hex(device.vendorId);
  const isShared = sharedVendors.includes(vendorId);
  const texts = {
    ...(device.manufacturer !== '' && { manufacturer: cut(device.manufacturer) }),
    ...(device.product !== '' && { product: cut(device.product) }),
  };
  const mode: CameraMode = {
    match: {
      vendor_id: vendorId,
      product_id: hex(device.productId),
      ...(isShared && texts),
      interfaces: [...new Set(device.interfaces.map(({ classTriple }) => classTriple))].slice(0, 16),
    },
    ...(control && { control }),
    ...(recordings && { recordings }),
  };
  const head = {
    name: nameOf(device, facts.takenNames),
    description: cut(`${device.manufacturer} ${device.product}`.trim(), longestDescription),
  };
  cameraProfileSchema.parse({ ...head, removal: 'never', modes: [mode] });
  const { match, ...channels } = mode;
  return [
    comment('Draft of a camera profile, made by dockctl probe from what was seen on this station:'),
    ...seen(device).map((line) => comment(`  ${line}`)),
    comment('Check what is said below, put the file into the folder named by [cameras] profiles, run'),
    comment('dockctl config check, then restart the agent.'),
    '',
    toml(head),
    comment('CHECK: first let the station only copy. Once its copies are found right, take this line out.'),
    'removal = "never"',
    '',
    comment('CHECK: what a time of the camera without a zone means, minutes east of UTC.'),
    'clock_zone_minutes = 300',
    '',
    comment('CHECK: which files are recordings; without this line the usual ones.'),
    '# recordings = ["DCIM/**/*.{mp4,jpg,wav}"]',
    '',
    '[[modes]]',
    ...channelComments(mode).map(comment),
    ...(Object.keys(channels).length > 0 ? [toml(channels)] : ['']),
    '[modes.match]',
    ...matchComments(isShared, texts).map(comment),
    toml(match).trimEnd(),
    '',
    comment(
      'CHECK: does the camera show itself in another way as well, charging only or after it was unlocked? Put',
    ),
    comment('it into that state and draft again; add the [[modes]] found there to this file.'),
    '',
  ].join('\n');
}

function refuseStrangers(device: UsbDevice, usages: ReadonlyMap<string, HidUsage>): void {
  if (device.isHub) throw new DockError('camera.stranger', `${device.portPath} is a hub`);
  for (const each of device.interfaces) {
    const { classTriple } = each;
    const isInput = each.hidraws.some((name) => isInputDevice(usages.get(name)));
    if (/^03\/01\/0[12]$/.test(classTriple) || isInput) {
      const what = `interface ${each.number} of ${device.portPath} is a keyboard, a mouse or the like`;
      throw new DockError('camera.stranger', `${what} (${classTriple})`);
    }
    if (refusedClasses.some((start) => classTriple.startsWith(start))) {
      const what = `interface ${each.number} of ${device.portPath} is ${usbClassName(classTriple)}`;
      throw new DockError('camera.stranger', `${what} (${classTriple})`);
    }
  }
  if (device.interfaces.length === 0) {
    throw new DockError('camera.unknown-model', `${device.portPath} shows no interfaces yet: look again`);
  }
}

/** Generic desktop: pointer, mouse, joystick, game pad, keyboard, keypad. Source: HID Usage Tables 1.5, section 4. */
function isInputDevice(usage: HidUsage | undefined): boolean {
  return usage?.page === 1 && [1, 2, 4, 5, 6, 7].includes(usage.id);
}

function channelsOf({ interfaces }: UsbDevice): Pick<CameraMode, 'control' | 'recordings'> {
  const shows = (start: string): boolean => interfaces.some((each) => each.classTriple.startsWith(start));
  const isSerial = shows('02/02/') || interfaces.some(({ ttys }) => ttys.length > 0);
  const control = shows('03/00/00') ? 'smp-hid' : isSerial ? 'smp-serial' : undefined;
  const isMtp = shows('06/01/01') || interfaces.some(isMtpByName);
  const storage = isMtp ? 'mtp' : shows('08/06/') ? 'mass-storage' : undefined;
  const recordings = storage ?? (control && 'control');
  return { ...(control && { control }), ...(recordings && { recordings }) };
}

/** Some makers give MTP a vendor class and say what it is in a string. */
function isMtpByName({ classTriple, description }: UsbInterface): boolean {
  return classTriple.startsWith('ff/') && /mtp/i.test(description);
}

function channelComments({ control, recordings }: CameraMode): string[] {
  const said = {
    'smp-serial': 'CHECK: a serial port was seen. Remove control if nothing speaks the camera group there.',
    'smp-hid': 'CHECK: reports were seen. Remove control if nothing speaks the camera group there.',
    none: 'No control channel was seen: no clock, no battery.',
  };
  const more =
    recordings === undefined
      ? ['No storage was seen: in this state the camera only charges.']
      : control !== undefined && recordings !== 'control'
        ? ['Recordings are read from the storage, clock and health over the control channel.']
        : [];
  return [said[control ?? 'none'], ...more];
}

function matchComments(isShared: boolean, texts: { manufacturer?: string; product?: string }): string[] {
  if (isShared) return ['These ids are shared by many makers, so the texts must fit as well.'];
  if (texts.product === undefined) return [];
  return ['Should other models share these ids, add:', ...toml(texts).trimEnd().split('\n')];
}

function seen(device: UsbDevice): string[] {
  const { manufacturer, product, speedMbps, maxPowerMa } = device;
  const power = maxPowerMa === undefined ? '' : `, ${maxPowerMa} mA`;
  return [
    `port ${device.portPath}: "${manufacturer}" "${product}", ${speedMbps} Mbit/s${power}`,
    ...device.interfaces.map((each) => {
      const name = each.description && ` "${each.description}"`;
      const driver = each.driver === undefined ? '' : `, driver ${each.driver}`;
      return `interface ${each.number}: ${each.classTriple} ${usbClassName(each.classTriple)}${name}${driver}`;
    }),
  ];
}

function nameOf(device: UsbDevice, taken: readonly string[]): string {
  const base =
    (device.product || device.manufacturer)
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .slice(0, 44)
      .replace(/^-+|-+$/g, '') || `camera-${hex(device.vendorId)}-${hex(device.productId)}`;
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!taken.includes(name)) return name;
  }
}

/** A text to look for may be a part of it; cut between characters. */
function cut(text: string, longest = longestText): string {
  let kept = '';
  for (const character of text) {
    if (kept.length + character.length > longest) break;
    kept += character;
  }
  return kept;
}

/** What could drive the terminal of whoever looks at the file is escaped. */
function toml(value: object): string {
  return stringify(value).replace(/(?!\n)[\p{Cc}\p{Cf}]/gu, (character) => {
    return `\\U${(character.codePointAt(0) ?? 0).toString(16).padStart(8, '0')}`;
  });
}

function comment(text: string): string {
  return `# ${text.replace(/[\p{Cc}\p{Cf}]/gu, '\uFFFD')}`.trimEnd();
}
