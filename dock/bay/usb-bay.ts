import { DockError } from '../../protocol/errors.ts';
import type { Attachment, Camera } from '../camera/camera.ts';
import { consoleTransport, defaultConsoleOptions } from '../camera/console-transport.ts';
import type { HidPipe } from '../camera/hid-pipe.ts';
import { hidTransport } from '../camera/hid-transport.ts';
import { openMassStorageCamera } from '../camera/mass-storage-camera.ts';
import { openMtpCamera } from '../camera/mtp-camera.ts';
import type { CameraMode, CameraProfile } from '../camera/profile.ts';
import { expectForm } from '../camera/serial-number.ts';
import type { PtpPipe } from '../camera/ptp-pipe.ts';
import { isRecordingOf, recognise, type Recognition } from '../camera/recognise.ts';
import { openSmpCamera, type SmpCamera } from '../camera/smp-camera.ts';
import type { StorageMount } from '../camera/storage-mount.ts';
import { TwoChannelCamera, type OpenedStorage } from '../camera/two-channel-camera.ts';
import type { Clock } from '../clock.ts';
import type { UsbDevice } from '../host/usb-tree.ts';
import type { ByteLink } from '../link.ts';
import type { BayContent } from './bay-content.ts';

/** The USB side of the host, by what a camera offers. The real one is dock/host/usb-host.ts. */
export interface UsbHost {
  /** The device on a port; undefined while there is none. */
  readDevice(portPath: string): Promise<UsbDevice | undefined>;
  attachment(device: UsbDevice): Promise<Attachment>;
  /** Errors: `usb.access-denied`, `usb.in-use`, `link.closed`. */
  openPtp(device: UsbDevice, signal: AbortSignal): Promise<PtpPipe>;
  openHid(device: UsbDevice, signal: AbortSignal): Promise<HidPipe>;
  openSerial(device: UsbDevice, baudRate: number, signal: AbortSignal): Promise<ByteLink>;
  /** All volumes of the device. Errors: `mount.*`, `link.closed`. */
  mount(device: UsbDevice, signal: AbortSignal): Promise<StorageMount[]>;
  /** Switches the power of a port off and on; false where it has no switch. */
  powerCycle(portPath: string): Promise<boolean>;
}

export interface UsbBay {
  readonly usbPort: string;
  readonly profiles: readonly CameraProfile[];
  /** How long a camera that was unlocked may take to come back. */
  readonly reenumerationMs: number;
}

/** A device must stay as it is for so long before it is touched: contacts bounce while a camera is seated. */
const settleMs = 300;
const settlePollMs = 50;
/** A device that never stays as it is, such as a disk whose size flickers. */
const unsettledMs = 15_000;
/** udev may take so long to allow a device on a busy machine; what is held back then stays so. */
const authorizeMs = 3000;
const reappearPollMs = 100;

/**
 * Looks at the port of a bay and opens what is there, by its profile. Errors: `camera.unknown-model`,
 * `camera.stranger`, `camera.unlock-failed`, `camera.identity-invalid`, and those of the families.
 */
export async function openUsbBay(
  bay: UsbBay,
  host: UsbHost,
  clock: Clock,
  signal: AbortSignal,
): Promise<BayContent> {
  const device = await settled(bay, host, clock, signal);
  if (!device) return { kind: 'empty' };
  const { profile, mode } = expectCamera(device, recognise(device, bay.profiles));
  const opener = new CameraOpener(bay, { host, clock, profile, signal });
  const camera = await opener.open(device, mode);
  if (!camera) return { kind: 'charging', detail: `${profile.name} on ${device.portPath}` };
  try {
    expectForm(camera.identity.serialNumber, profile);
  } catch (error) {
    await camera[Symbol.asyncDispose]();
    throw error;
  }
  return { kind: 'camera', camera };
}

/**
 * The device of the port once it has stopped coming and going and udev has looked at it; undefined while there is
 * none. On a bus with bays the kernel holds every interface back until the station's rules have allowed it.
 */
async function settled(
  { usbPort }: UsbBay,
  host: UsbHost,
  clock: Clock,
  signal: AbortSignal,
): Promise<UsbDevice | undefined> {
  const startedMs = clock.monotonic();
  let steadySinceMs = startedMs;
  let device = await host.readDevice(usbPort);
  while (device) {
    await clock.sleep(settlePollMs, signal);
    const now = await host.readDevice(usbPort);
    const nowMs = clock.monotonic();
    // Interfaces and their nodes appear one after the other while drivers bind.
    if (JSON.stringify(now) !== JSON.stringify(device)) steadySinceMs = nowMs;
    device = now;
    const isSteady = nowMs - steadySinceMs >= settleMs;
    const mayWait = device && isHeldBack(device) && nowMs - startedMs < authorizeMs;
    if (isSteady && !mayWait) return device;
    if (nowMs - startedMs > unsettledMs)
      throw new DockError('link.open-failed', `${usbPort} does not settle`);
  }
  return undefined;
}

function isHeldBack({ isAuthorized, interfaces }: UsbDevice): boolean {
  return !isAuthorized || interfaces.some((each) => !each.isAuthorized);
}

function expectCamera(device: UsbDevice, recognition: Recognition): Extract<Recognition, { kind: 'camera' }> {
  const name = `${device.manufacturer} ${device.product}`.trim() || 'a device without a name';
  switch (recognition.kind) {
    case 'stranger':
      throw new DockError('camera.stranger', `${name} shows ${recognition.unexpected.join(', ')}`);
    case 'unknown':
      throw isHeldBack(device)
        ? new DockError('camera.stranger', `${name} is not authorised by the kernel`)
        : new DockError('camera.unknown-model', name);
    case 'camera':
      if (isHeldBack(device))
        throw new DockError('camera.stranger', `${name} is not authorised by the kernel`);
      return recognition;
  }
}

/** Opens one camera, in the mode it shows itself in, over as many channels as that has. */
class CameraOpener {
  readonly #bay: UsbBay;
  readonly #host: UsbHost;
  readonly #clock: Clock;
  readonly #profile: CameraProfile;
  readonly #signal: AbortSignal;

  constructor(
    bay: UsbBay,
    parts: { host: UsbHost; clock: Clock; profile: CameraProfile; signal: AbortSignal },
  ) {
    this.#bay = bay;
    this.#host = parts.host;
    this.#clock = parts.clock;
    this.#profile = parts.profile;
    this.#signal = parts.signal;
  }

  /** Undefined for a mode that offers nothing: the camera charges. */
  async open(device: UsbDevice, mode: CameraMode): Promise<Camera | undefined> {
    const { control, recordings, unlock } = mode;
    if (control === undefined) {
      if (recordings === undefined) return undefined;
      return TwoChannelCamera.unlocked(await this.#openStorage(device, mode, this.#signal));
    }
    const camera = await this.#openControl(device, control, this.#signal);
    if (recordings === 'control') return camera;
    if (recordings === undefined && unlock === undefined) return camera;
    const attachment = await this.#host.attachment(device);
    if (unlock === undefined) {
      return new TwoChannelCamera(camera, attachment, (signal) => this.#beside(camera, device, mode, signal));
    }
    return new TwoChannelCamera(camera, attachment, (signal) => this.#unlock(camera, device, unlock, signal));
  }

  async #openControl(
    device: UsbDevice,
    channel: NonNullable<CameraMode['control']>,
    signal: AbortSignal,
  ): Promise<SmpCamera> {
    const mayRemove = this.#profile.removal === 'allowed';
    if (channel === 'smp-hid') {
      const transport = hidTransport(await this.#host.openHid(device, signal), this.#clock);
      return openSmpCamera(transport, this.#clock, signal, { mayRemove });
    }
    const baudRate = this.#profile.serial_baud_rate;
    const link = await this.#host.openSerial(device, baudRate, signal);
    const transport = consoleTransport(link, this.#clock, { ...defaultConsoleOptions, lineGapMs: 1 });
    return openSmpCamera(transport, this.#clock, signal, { mayRemove });
  }

  async #openStorage(device: UsbDevice, mode: CameraMode, signal: AbortSignal): Promise<OpenedStorage> {
    const attachment = await this.#host.attachment(device);
    return { storage: await this.#openFamily(device, mode, signal), attachment };
  }

  async #openFamily(device: UsbDevice, mode: CameraMode, signal: AbortSignal): Promise<Camera> {
    const options = {
      isRecording: isRecordingOf(this.#profile),
      zoneMinutes: this.#profile.clock_zone_minutes,
      mayRemove: this.#profile.removal === 'allowed',
      usbSerialNumber: device.serialNumber,
    };
    if (mode.recordings === 'mtp') {
      return openMtpCamera(await this.#host.openPtp(device, signal), this.#clock, options, signal);
    }
    const identity = {
      serialNumber: device.serialNumber,
      model: `${device.manufacturer} ${device.product}`.trim(),
    };
    return openMassStorageCamera(
      await this.#host.mount(device, signal),
      identity,
      this.#clock,
      options,
      signal,
    );
  }

  /** Control channel and storage side by side on one device. */
  async #beside(
    control: Camera,
    device: UsbDevice,
    mode: CameraMode,
    signal: AbortSignal,
  ): Promise<OpenedStorage> {
    try {
      return { ...(await this.#openStorage(device, mode, signal)), control };
    } catch (error) {
      await control[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The camera goes and comes back on the same port as something else. */
  async #unlock(
    locked: SmpCamera,
    before: UsbDevice,
    storage: NonNullable<CameraMode['unlock']>,
    signal: AbortSignal,
  ): Promise<OpenedStorage> {
    try {
      await locked.switchStorage(storage, signal);
    } finally {
      await locked[Symbol.asyncDispose]();
    }
    const { device, mode } = await this.#reappeared(before, signal);
    const opened = await this.#openStorage(device, mode, signal);
    if (mode.control === undefined) return opened;
    try {
      return { ...opened, control: await this.#openControl(device, mode.control, signal) };
    } catch (error) {
      await opened.storage[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #reappeared(
    before: UsbDevice,
    signal: AbortSignal,
  ): Promise<{ device: UsbDevice; mode: CameraMode }> {
    const deadline = this.#clock.monotonic() + this.#bay.reenumerationMs;
    let seen = 'nothing came back';
    while (this.#clock.monotonic() < deadline) {
      await this.#clock.sleep(reappearPollMs, signal);
      const device = await settled(this.#bay, this.#host, this.#clock, signal);
      if (!device || device.attachId === before.attachId) continue;
      const recognition = recognise(device, [this.#profile]);
      if (recognition.kind === 'stranger') expectCamera(device, recognition);
      if (recognition.kind === 'camera' && recognition.mode.recordings !== undefined) {
        return { device, mode: recognition.mode };
      }
      seen = `${device.product || device.portPath} came back and shows no storage`;
    }
    throw new DockError('camera.unlock-failed', seen);
  }
}
