/**
 * Cameras made of the kernel's USB gadget functions, for tests that run in the lab (`npm run test:usb`, files named
 * `*.lab.test.ts`). Each is plugged into a dummy controller ("port") of its own and is removed with its scope:
 *
 *     await using folder = await scratchFolder();
 *     await writeFile(join(folder.path, 'VIDEO001.MP4'), content);
 *     await using camera = await mtpGadget({ udc: 0, serialNumber: 'BC-1', storages: [{ path: folder.path }] });
 *     await camera.plug();                       // camera.portPath is now a device: '3-1'
 *     await camera.function.killResponder();              // firmware dies: off the bus
 *     await camera.function.restartResponder();           // and boots again
 *     await camera.plug();
 *
 *     await makeDiskImage('/tmp/card.img', { format: 'exfat', files: { 'DCIM/A.MP4': content }, isDirty: true });
 *     await using disk = await massStorageGadget({ udc: 0, units: [{ image: '/tmp/card.img' }] });
 *     await camera.plugAs(disk);                 // the unlock: same port, other device
 *
 *     const reports = new HidFunction({ reportDescriptor, reportLength: 64 });   // any mix of functions:
 *     await using mixed = await Gadget.create({ udc: 1 }, reports, new MassStorageFunction([{ image }]));
 *
 * At once: 12 ports, 4 HID functions, 8 ACM functions. A function belongs to the gadget it is given to.
 *
 * Measured (2 cores, emulated, machine idle; twice that beside another lab): making an MTP gadget 0.2 s, any other
 * 0.05 s; plugging in 0.4 s, most of it the kernel's debouncing; a disk 1.1 s after that (usb-storage's own delay); a
 * card put into a slot is noticed within 2 s; a FAT32 image 0.8 s, an exFAT image 0.3 s.
 */
import { Gadget, type GadgetOptions } from './gadget.ts';
import {
  AcmFunction,
  HidFunction,
  KeyboardFunction,
  MassStorageFunction,
  type HidFunctionOptions,
  type LogicalUnit,
} from './kernel-functions.ts';
import { portPathOfUdc } from './lab.ts';
import { MtpFunction, type MtpFunctionOptions } from './mtp-function.ts';

type AnyFunction = MtpFunction | MassStorageFunction | HidFunction | AcmFunction;

/** A gadget of one function, which is at hand for what only its kind can do. */
export class SingleGadget<F extends AnyFunction> extends Gadget {
  readonly function: F;

  protected constructor(options: GadgetOptions, portPath: string, made: F) {
    super(options, portPath, [made]);
    this.function = made;
  }

  static async of<F extends AnyFunction>(options: GadgetOptions, made: F): Promise<SingleGadget<F>> {
    return new SingleGadget(options, await portPathOfUdc(options.udc), made).build();
  }
}

/** An MTP camera (06/01/01) served by umtprd. */
export function mtpGadget(options: GadgetOptions & MtpFunctionOptions): Promise<SingleGadget<MtpFunction>> {
  return SingleGadget.of(options, new MtpFunction(options));
}

/** A camera that shows its cards as disks. */
export function massStorageGadget(
  options: GadgetOptions & { readonly units: readonly LogicalUnit[] },
): Promise<SingleGadget<MassStorageFunction>> {
  return SingleGadget.of(options, new MassStorageFunction(options.units));
}

/** A camera with a report pipe. */
export function hidGadget(options: GadgetOptions & HidFunctionOptions): Promise<SingleGadget<HidFunction>> {
  return SingleGadget.of(options, new HidFunction(options));
}

/** A camera with a serial line over USB. */
export function acmGadget(options: GadgetOptions): Promise<SingleGadget<AcmFunction>> {
  return SingleGadget.of(options, new AcmFunction());
}

/** A keyboard, alone or behind a disk: something that pretends to be a camera. */
export async function keyboardGadget(
  options: GadgetOptions & { readonly units?: readonly LogicalUnit[] },
): Promise<Gadget & { readonly keyboard: KeyboardFunction }> {
  const keyboard = new KeyboardFunction();
  const disks = options.units ? [new MassStorageFunction(options.units)] : [];
  return Object.assign(await Gadget.create(options, ...disks, keyboard), { keyboard });
}
