import { describe, expect, test } from 'vitest';
import { parse } from 'smol-toml';
import { builtInProfiles } from '../../dock/camera/built-in-profiles.ts';
import { draftProfile } from '../../dock/camera/draft-profile.ts';
import { cameraProfileSchema, type CameraProfile } from '../../dock/camera/profile.ts';
import { isRecordingOf, missOf, recognise } from '../../dock/camera/recognise.ts';
import type { UsbDevice, UsbInterface } from '../../dock/host/usb-tree.ts';
import { usbInterface } from '../support/usb-interface.ts';

// A device is used only as far as a profile says, and not at all when it shows more than that: a camera that is also a
// keyboard would type on the station. Profiles are tried in order, so that a station can overrule what is built in.

interface Shown extends Partial<Omit<UsbDevice, 'interfaces'>> {
  readonly shows: readonly (string | Partial<UsbInterface>)[];
}

function device({ shows, ...more }: Shown): UsbDevice {
  return {
    portPath: '1-1.2',
    busNumber: 1,
    address: 5,
    attachId: '500',
    vendorId: 0x2207,
    productId: 0x0011,
    manufacturer: 'Acme Ltd',
    product: 'BodyCam X2',
    serialNumber: 'BC-1',
    speedMbps: 480,
    maxPowerMa: 500,
    isHub: false,
    isAuthorized: true,
    ...more,
    interfaces: shows.map((each, number) =>
      usbInterface(number, typeof each === 'string' ? { classTriple: each } : each),
    ),
  };
}

const profile = (given: object): CameraProfile => cameraProfileSchema.parse(given);
const builtIn = builtInProfiles({ generic: false });
const generic = builtInProfiles({ generic: true });

const unlockable = profile({
  name: 'unlockable',
  modes: [
    { match: { vendor_id: '2207', product_id: '0011' }, control: 'smp-hid', unlock: 'mass-storage' },
    { match: { vendor_id: '2207', product_id: '0012' }, recordings: 'mass-storage' },
    { match: { vendor_id: '2207', interfaces: ['ff/ff/00'] } },
  ],
});

/** In short what came out. */
function verdict(shown: UsbDevice, profiles: readonly CameraProfile[]): string {
  const found = recognise(shown, profiles);
  if (found.kind === 'camera') return `${found.profile.name} ${found.profile.modes.indexOf(found.mode)}`;
  return found.kind === 'stranger' ? `stranger: ${found.unexpected.join(' ')}` : 'unknown';
}

describe('a device', () => {
  test.each<[string, Shown, readonly CameraProfile[], string]>([
    ['of the camera group on a serial port', { shows: ['02/02/01', '0a/00/00'] }, builtIn, 'smp-serial 0'],
    ['of the camera group without AT commands', { shows: ['02/02/00', '0a/00/00'] }, builtIn, 'smp-serial 1'],
    ['of the camera group over reports', { shows: ['03/00/00'] }, builtIn, 'smp-hid 0'],
    ['that speaks MTP', { shows: ['06/01/01'] }, builtIn, 'unknown'],
    ['that speaks MTP, where all do', { shows: ['06/01/01'] }, generic, 'generic-mtp 0'],
    ['that is a disk, where all are', { shows: ['08/06/50'] }, generic, 'generic-mass-storage 0'],
    ['that is a fast disk, where all are', { shows: ['08/06/62'] }, generic, 'generic-mass-storage 1'],
    ['that is a keyboard', { shows: ['03/01/01'] }, generic, 'stranger: 03/01/01'],
    ['that is a keyboard and a disk', { shows: ['08/06/50', '03/01/01'] }, generic, 'stranger: 03/01/01'],
    ['that is a disk and has reports', { shows: ['08/06/50', '03/00/00'] }, generic, 'stranger: 08/06/50'],
    ['that is a network card', { shows: ['02/06/00', '0a/00/00'] }, generic, 'stranger: 02/06/00'],
    ['that is an RNDIS network card', { shows: ['02/02/ff', '0a/00/00'] }, generic, 'stranger: 02/02/ff'],
    [
      'that is a serial camera and an RNDIS network card',
      { shows: ['02/02/01', '0a/00/00', '02/02/ff', '0a/00/00'] },
      generic,
      'stranger: 02/02/ff',
    ],
    ['of an unknown vendor class', { shows: ['ff/42/01'] }, generic, 'stranger: ff/42/01'],
    ['that is a hub', { isHub: true, shows: ['09/00/00'] }, generic, 'stranger: hub'],
    ['that shows nothing', { shows: [] }, generic, 'unknown'],
    ['that is locked', { shows: ['03/00/00'] }, [unlockable], 'unlockable 0'],
    ['that is unlocked', { productId: 0x0012, shows: ['08/06/50'] }, [unlockable], 'unlockable 1'],
    ['that charges', { productId: 0x0013, shows: ['ff/ff/00'] }, [unlockable], 'unlockable 2'],
    ['that is locked and a disk', { shows: ['03/00/00', '08/06/50'] }, [unlockable], 'stranger: 08/06/50'],
    [
      'that is unlocked and a keyboard',
      { productId: 0x0012, shows: ['08/06/50', '03/01/01'] },
      [unlockable],
      'stranger: 03/01/01',
    ],
  ])('%s', (_what, shown, profiles, expected) => {
    expect(verdict(device(shown), profiles)).toBe(expected);
  });

  test('of a model with a profile is that model, whatever comes later', () => {
    const mine = profile({ name: 'mine', modes: [{ match: { product: 'BodyCam' }, recordings: 'mtp' }] });
    const shown = device({ shows: ['06/01/01'] });
    expect(verdict(shown, [mine, ...generic])).toBe('mine 0');
    expect(verdict(shown, [...generic, mine])).toBe('generic-mtp 0');
    // What an earlier profile finds strange no later one makes good.
    const both = device({ shows: ['06/01/01', '08/06/50'] });
    expect(verdict(both, [mine, ...generic])).toBe('stranger: 08/06/50');
  });

  test('is matched by the first mode that fits', () => {
    const modes = [
      { match: { interfaces: ['06/01/01', '03/00/00'] }, control: 'smp-hid', recordings: 'mtp' },
      { match: { interfaces: ['06/01/01'] }, recordings: 'mtp' },
    ];
    const two = profile({ name: 'two', modes });
    const reversed = profile({ name: 'reversed', modes: modes.toReversed() });
    const shown = device({ shows: ['06/01/01', '03/00/00'] });
    expect(verdict(shown, [two])).toBe('two 0');
    expect(verdict(shown, [reversed])).toBe('stranger: 03/00/00');
  });

  test.each([
    [{ vendor_id: '1234' }, 'vendor id is 2207, not 1234'],
    [{ vendor_id: '2207', product_id: '0012' }, 'product id is 0011, not 0012'],
    [{ manufacturer: 'acme' }, 'manufacturer is "Acme Ltd", without "acme"'],
    [{ product: 'X3' }, 'product is "BodyCam X2", without "X3"'],
    [{ interfaces: ['06/01/01', '03/00/00'] }, 'there is no interface 03/00/00'],
    [{ vendor_id: '2207', product_id: '0011', manufacturer: 'Acme', product: 'X2' }, undefined],
  ])('%j: %s', (match, reason) => {
    const one = profile({ name: 'one', modes: [{ match, recordings: 'mtp' }] });
    const shown = device({ shows: ['06/01/01'] });
    const miss = reason === undefined ? undefined : { profile: 'one', reasons: [reason] };
    expect(missOf(shown, one)).toEqual(miss);
    const misses = [miss];
    expect(recognise(shown, [one])).toMatchObject(miss ? { kind: 'unknown', misses } : { kind: 'camera' });
  });
});

describe('a profile', () => {
  const withMode = (mode: object): object => ({
    name: 'x',
    modes: [{ match: { vendor_id: '2207' }, ...mode }],
  });
  test.each([
    ['that matches everything', { name: 'x', modes: [{ match: {} }] }],
    ['without modes', { name: 'x', modes: [] }],
    ['with an upper-case id', { name: 'x', modes: [{ match: { vendor_id: '1D6B' } }] }],
    ['with a name that is no name', { ...withMode({}), name: '../x' }],
    ['that unlocks without a control channel', withMode({ unlock: 'mtp' })],
    ['that unlocks what is open', withMode({ control: 'smp-hid', recordings: 'mtp', unlock: 'mtp' })],
    ['with recordings over no control channel', withMode({ recordings: 'control' })],
    ['with a key that is unknown', withMode({ colour: 'red' })],
  ])('%s is refused', (_what, given) => {
    expect(cameraProfileSchema.safeParse(given).success).toBe(false);
  });

  test.each<[readonly string[] | undefined, string, boolean]>([
    [undefined, '/DCIM/100MEDIA/A.MP4', true],
    [undefined, 'a.mp4', true],
    [undefined, 'DCIM/a.Jpg', true],
    [undefined, 'DCIM/a.txt', false],
    [undefined, 'DCIM/mp4', false],
    [undefined, 'DCIM/a b [1] é.mp4', true],
    // What macOS and recycle bins leave behind is no recording.
    [undefined, 'DCIM/._A.MP4', false],
    [undefined, '.Trashes/A.MP4', false],
    [['DCIM/**/*.MP4'], 'dcim/x/y/a.mp4', true],
    [['DCIM/**/*.MP4'], 'other/a.mp4', false],
    [['VIDEO/*'], 'video/a.bin', true],
    [['VIDEO/*'], 'video/sub/a.bin', false],
    [['É*.mp4'], 'éa.MP4', true],
  ])('with recordings %j takes %s: %s', (recordings, path, isOne) => {
    const one = profile({ ...withMode({}), ...(recordings && { recordings }) });
    expect(isRecordingOf(one)(path)).toBe(isOne);
  });
});

describe('a draft', () => {
  const draft = (
    shown: UsbDevice,
    { takenNames = [] as string[], usage = { page: 0xff00, id: 1 } } = {},
  ): string => draftProfile(shown, { usages: new Map([['hidraw0', usage]]), takenNames });
  const modeOf = (toml: string): object | undefined => cameraProfileSchema.parse(parse(toml)).modes[0];

  test.each<[string, Shown, object]>([
    ['MTP', { shows: ['06/01/01'] }, { recordings: 'mtp' }],
    ['MTP by its name', { shows: [{ classTriple: 'ff/ff/00', description: 'MTP' }] }, { recordings: 'mtp' }],
    ['a disk', { shows: ['08/06/50'] }, { recordings: 'mass-storage' }],
    ['a serial port', { shows: ['02/02/01', '0a/00/00'] }, { control: 'smp-serial', recordings: 'control' }],
    [
      'a converter',
      { shows: [{ classTriple: 'ff/00/00', ttys: ['ttyUSB0'] }] },
      { control: 'smp-serial', recordings: 'control' },
    ],
    [
      'reports and MTP',
      { shows: [{ classTriple: '03/00/00', hidraws: ['hidraw0'] }, '06/01/01'] },
      { control: 'smp-hid', recordings: 'mtp' },
    ],
    ['nothing that is known', { shows: ['ff/00/00'] }, {}],
    ['shared ids', { vendorId: 0x1d6b, shows: ['06/01/01'] }, { match: { product: 'BodyCam X2' } }],
    ['forty interfaces', { shows: Array.from({ length: 40 }, (_, at) => `ff/00/${at + 10}`) }, {}],
  ])('of a device with %s is valid and matches it', (_what, shown, expected) => {
    const toml = draft(device(shown));
    expect(modeOf(toml)).toMatchObject(expected);
    const drafted = cameraProfileSchema.parse(parse(toml));
    expect(drafted).toMatchObject({ name: 'bodycam-x2', removal: 'never' });
    expect(missOf(device(shown), drafted)).toBeUndefined();
    if (shown.shows.length < 16) expect(verdict(device(shown), [drafted, ...generic])).toBe('bodycam-x2 0');
  });

  test.each<[string, Shown, object, RegExp]>([
    ['hub', { isHub: true, shows: ['09/00/00'] }, {}, /1-1\.2 is a hub/],
    ['keyboard', { shows: ['06/01/01', '03/01/01'] }, {}, /keyboard/],
    ['mouse', { shows: ['03/01/02'] }, {}, /mouse/],
    [
      'keyboard that does not say so in its class',
      { shows: [{ classTriple: '03/00/00', hidraws: ['hidraw0'] }] },
      { usage: { page: 1, id: 6 } },
      /keyboard/,
    ],
    ['network card', { shows: ['02/06/00', '0a/00/00'] }, {}, /network/],
    ['tethering phone', { shows: ['e0/01/03', '0a/00/00'] }, {}, /network/],
  ])('of a %s is refused', (_what, shown, facts, message) => {
    const refused = expect.objectContaining({
      code: 'camera.stranger',
      message: expect.stringMatching(message),
    });
    expect(() => draft(device(shown), facts)).toThrow(refused);
  });

  test('of a device that the kernel keeps back is refused', () => {
    expect(() => draft(device({ shows: [] }))).toThrow(/no interfaces/);
  });

  test.each([
    ['control characters', '\u001b[2J\u202eX"\\', /^2j-x$/],
    ['nothing but signs', '***', /^camera-1d6b-0011$/],
    ['letters of another script', 'Камера', /^camera-1d6b-0011$/],
    ['an accent', 'Caméra', /^camera$/],
    ['no end', `${'x'.repeat(255)}😀`, /^x{44}$/],
    ['long characters', '😀'.repeat(128), /^camera-/],
  ])('takes a product name with %s', (_what, product, name) => {
    const shown = device({ vendorId: 0x1d6b, product, manufacturer: product, shows: ['06/01/01'] });
    const toml = draft(shown);
    expect(toml).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
    const drafted = cameraProfileSchema.parse(parse(toml));
    expect(drafted.name).toMatch(name);
    expect(missOf(shown, drafted)).toBeUndefined();
  });

  test('gets a name that is free', () => {
    const toml = draft(device({ shows: ['06/01/01'] }), { takenNames: ['bodycam-x2', 'bodycam-x2-2'] });
    expect(parse(toml)['name']).toBe('bodycam-x2-3');
  });
});
