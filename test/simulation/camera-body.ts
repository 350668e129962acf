import type { BayContent } from '../../dock/bay/bay-content.ts';
import { emptyIfSilent } from '../../dock/bay/serial-bay.ts';
import { openUsbBay } from '../../dock/bay/usb-bay.ts';
import { consoleTransport, defaultConsoleOptions } from '../../dock/camera/console-transport.ts';
import type { HidPipe } from '../../dock/camera/hid-pipe.ts';
import { openMtpCamera } from '../../dock/camera/mtp-camera.ts';
import type { PtpPipe } from '../../dock/camera/ptp-pipe.ts';
import { openSmpCamera } from '../../dock/camera/smp-camera.ts';
import type { Clock } from '../../dock/clock.ts';
import { DeviceClock } from '../../dock/simulator/device-clock.ts';
import type { CameraFaults } from '../../dock/simulator/faults.ts';
import type { PtpFaults } from '../../dock/simulator/ptp-faults.ts';
import { PtpResponder } from '../../dock/simulator/ptp-responder.ts';
import { MemoryStore, type HeldRecording } from '../../dock/simulator/recording-store.ts';
import { serveCamera, serveCameraOverHid, type ServedCamera } from '../../dock/simulator/serve.ts';
import { SimulatedCamera } from '../../dock/simulator/simulated-camera.ts';
import { Cable, pipeFor } from './cable.ts';
import type { Draws } from './draws.ts';
import type { Life } from './life.ts';
import type { Scheduler } from './scheduler.ts';
import { hidOver, UsbPort, usbProfiles } from './usb-port.ts';

const reenumerationMs = 20_000;

export interface CameraModel {
  /** For the story: two cameras may state one serial number. */
  readonly name: string;
  readonly serialNumber: string;
  readonly family: 'smp' | 'mtp';
  /** How a camera of the camera group is reached; `unlocked` shows its recordings as MTP, once it was asked to. */
  readonly channel: 'serial' | 'hid' | 'unlocked';
  readonly keySeed: Uint8Array | undefined;
  readonly hasFineClock: boolean;
  /** Whether an MTP camera has a clock that can be set. */
  readonly hasMtpClock: boolean;
  readonly knowsDigest: boolean;
  readonly clockOffsetMs: number;
}

export interface StoreWatch {
  /** Told before the recording is gone. */
  readonly onRemove: (recording: HeldRecording, bytes: Uint8Array) => void;
  readonly onAdd: (recording: HeldRecording, bytes: Uint8Array) => void;
}

/** A store that tells what comes and what goes. */
class WatchedStore extends MemoryStore {
  nextId = 1;
  readonly #watch: StoreWatch;

  constructor(watch: StoreWatch) {
    super();
    this.#watch = watch;
  }

  override add(recording: Omit<HeldRecording, 'sizeBytes'>, bytes: Uint8Array): void {
    super.add(recording, bytes);
    this.#watch.onAdd({ ...recording, sizeBytes: bytes.length }, bytes);
  }

  override remove(recording: HeldRecording): void {
    const bytes = this.bytes(recording.id);
    if (bytes) this.#watch.onRemove(recording, bytes);
    super.remove(recording);
  }

  /** By the camera itself, which is no affair of the agent. */
  overwrite(recording: HeldRecording, next: Omit<HeldRecording, 'sizeBytes'>, bytes: Uint8Array): void {
    super.remove(recording);
    this.add(next, bytes);
  }
}

/** A camera as a thing: what it holds, what ails it, where it is plugged in. */
export class CameraBody {
  readonly model: CameraModel;
  readonly store: WatchedStore;
  readonly faults: CameraFaults = {};
  ptpFaults: Partial<PtpFaults> = {};
  lagMs = 0;
  /** Messages and reads since it was docked: a bay that serves it is not hung. */
  lastServedMs = 0;
  #unreachableUntilMs = 0;
  #connection: { cut(): void } | undefined;
  #smp: SimulatedCamera;
  readonly #port: UsbPort;
  readonly #clock: Clock;
  readonly #deviceClock: DeviceClock;
  readonly #scheduler: Scheduler;
  readonly #draws: Draws;

  constructor(
    model: CameraModel,
    watch: StoreWatch,
    { scheduler, draws }: { scheduler: Scheduler; draws: Draws },
  ) {
    this.model = model;
    this.store = new WatchedStore(watch);
    this.#scheduler = scheduler;
    this.#draws = draws.stream(`camera ${model.name}`);
    this.#clock = scheduler.clockOf();
    this.#deviceClock = new DeviceClock(this.#clock, {
      offsetMs: model.clockOffsetMs,
      driftPpm: 20,
      resolutionMs: model.hasFineClock && model.family === 'smp' ? 1 : 1000,
    });
    this.#port = new UsbPort(model, model.channel === 'unlocked' ? 'locked' : 'hid', scheduler);
    this.#smp = this.#started();
  }

  /** The camera's own time. */
  get clockAt(): number {
    return this.#deviceClock.read() ?? 0;
  }

  jumpClock(ms: number): void {
    this.#deviceClock.set(Math.max(0, this.clockAt + ms));
  }

  /** What it was doing is forgotten; for a while nothing answers. */
  reboot(ms: number): void {
    this.#smp = this.#started();
    this.#unreachableUntilMs = this.#scheduler.nowMs + ms;
    this.#port.attach('first', this.#unreachableUntilMs);
    this.disconnect();
  }

  unplug(): void {
    this.#port.attach('first');
    this.disconnect();
  }

  /** Whoever had it open is gone; for the camera nothing has changed. */
  disconnect(): void {
    this.#connection?.cut();
    this.#connection = undefined;
  }

  /** What a look into its bay finds. */
  async open(life: Life, signal: AbortSignal): Promise<BayContent> {
    this.disconnect();
    this.lastServedMs = this.#scheduler.nowMs;
    if (this.#scheduler.nowMs < this.#unreachableUntilMs) return { kind: 'empty' };
    if (this.model.family === 'mtp') return this.#openMtp(life, signal);
    return this.model.channel === 'serial' ? this.#openSerial(life, signal) : this.#openUsb(life, signal);
  }

  #openSerial(life: Life, signal: AbortSignal): Promise<BayContent> {
    const cable = this.#cable(life);
    void serveCamera(this.#served(), cable.deviceEnd, this.#draws);
    const transport = consoleTransport(cable.agentEnd, life.clock, {
      ...defaultConsoleOptions,
      burstLines: 64,
      lineGapMs: 1,
    });
    return emptyIfSilent(openSmpCamera(transport, life.clock, signal), signal);
  }

  #openUsb(life: Life, signal: AbortSignal): Promise<BayContent> {
    const hid = (): HidPipe => {
      const cable = this.#cable(life);
      void serveCameraOverHid(this.#served(), hidOver(cable.deviceEnd), this.#draws);
      return hidOver(cable.agentEnd);
    };
    const host = this.#port.hostFor(life, { hid, ptp: () => this.#ptpPipe(life) });
    const bay = { usbPort: '1-1', profiles: usbProfiles, reenumerationMs };
    return openUsbBay(bay, host, life.clock, signal);
  }

  #cable(life: Life): Cable {
    const { name } = this.model;
    this.disconnect();
    const cable = new Cable(this.#scheduler, life, {
      name,
      lagMs: () => this.lagMs * this.#draws.between(0, 1),
    });
    this.#connection = cable;
    return cable;
  }

  #served(): ServedCamera {
    const camera = this.#smp;
    const { server } = camera;
    return {
      faults: this.faults,
      server: {
        answer: (frame: Uint8Array): Uint8Array[] => {
          this.lastServedMs = this.#scheduler.nowMs;
          return server.answer(frame);
        },
      },
      answered: () => camera.answered(),
      get isStalled(): boolean {
        return camera.isStalled;
      },
    };
  }

  /** Its device leaves the bus and comes back as a storage. */
  #unlock(): void {
    this.#port.attach('unlocked', this.#scheduler.nowMs + this.#draws.between(200, 3000));
    this.disconnect();
  }

  async #openMtp(life: Life, signal: AbortSignal): Promise<BayContent> {
    const options = { isRecording: () => true, zoneMinutes: 300, mayRemove: true };
    const camera = await openMtpCamera(this.#ptpPipe(life), life.clock, options, signal);
    return { kind: 'camera', camera };
  }

  #ptpPipe(life: Life): PtpPipe {
    const responder = new PtpResponder({
      store: this.store,
      hostClock: life.clock,
      clock: this.#deviceClock,
      serialNumber: this.model.serialNumber,
      faults: { leavesWhenCancelledIdle: false, hangAfterEnd: false, ...this.ptpFaults },
      ...(!this.model.hasMtpClock && { withoutProperties: [0x5011] }),
    });
    // A host that died has left a session open.
    if (this.#draws.chance(0.2)) responder.leaveBehind(this.#draws.below(2000));
    this.#connection = { cut: () => responder.unplug() };
    const pipe = pipeFor(life, responder);
    return {
      ...pipe,
      read: (maxBytes, timeoutMs) => {
        this.lastServedMs = this.#scheduler.nowMs;
        return pipe.read(maxBytes, timeoutMs);
      },
    };
  }

  #started(): SimulatedCamera {
    const { serialNumber, keySeed, hasFineClock } = this.model;
    const options = {
      serialNumber,
      model: 'Sim BC-1',
      firmware: '1.4.2',
      hardwareRevision: 'C',
      ...(keySeed && { keySeed }),
      store: this.store,
      deviceClock: this.#deviceClock,
      hasFineClock,
      batteryPercent: 40,
      capacityBytes: 64 * 2 ** 30,
      bufferBytes: 2048,
      bufferCount: 4,
      storageModes: this.model.channel === 'unlocked' ? (['mtp'] as const) : [],
      onModeSwitch: () => this.#unlock(),
    };
    return new SimulatedCamera(options, this.#clock, this.faults);
  }
}
