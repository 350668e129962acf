import { DockError } from '../../protocol/errors.ts';
import type { PtpChunk, PtpPipe } from '../camera/ptp-pipe.ts';
import type { Clock } from '../clock.ts';
import { systemClock } from './system-clock.ts';
import { systemUsb, type UsbBackend, type UsbHandle, type UsbPlace } from './usb-backend.ts';
import type { UsbBudget } from './usb-budget.ts';
import type { PtpEndpoints } from './usb-endpoints.ts';
import { classify } from './usb-error.ts';

const classRequest = { cancel: 0x64, reset: 0x66, status: 0x67 } as const;
const cancelEventCode = 0x4001;
const controlTimeoutMs = 2000;
/** Android's responder ends when asked for less than 8 bytes of status. */
const statusBytes = 64;
/** Long: at each end of it an event may be lost. */
const eventTimeoutMs = 30_000;
const mostEventFailures = 5;
/** After a fault, until sysfs knows whether the device is gone. */
const suspicionMs = 100;
const memoryPauseMs = 50;
const memoryTries = 40;
/** Reads without trouble before a read may be twice as long again. */
const readsUntilLonger = 64;
const endingTries = 15;
const endingPauseMs = 200;
const resetPauseMs = 300;

export interface UsbPipeParts {
  readonly budget: UsbBudget;
  readonly backend?: UsbBackend;
  readonly clock?: Clock;
  /** How often sysfs is asked whether the device is still there. */
  readonly presencePollMs?: number;
}

/**
 * Opens the still-image interface of the device at a place. Errors: `link.closed` when it is not there any more,
 * `usb.access-denied`, `usb.in-use`, `usb.transfer-failed` when it has no such interface.
 */
export async function openUsbPipe(
  place: UsbPlace,
  interfaceNumber: number | 'auto',
  { budget, backend = systemUsb, clock = systemClock, presencePollMs = 500 }: UsbPipeParts,
): Promise<PtpPipe> {
  const endpoints = await backend.endpoints(place.portPath, interfaceNumber);
  const device = await backend.find(place);
  if (!device) throw new DockError('link.closed', place.portPath);
  if (!endpoints) throw new DockError('usb.transfer-failed', `${place.portPath} has no PTP interface`);
  const pipe = new UsbPipe(device, endpoints, { place, budget, backend, clock, presencePollMs });
  try {
    await pipe.claim();
    return pipe;
  } catch (error) {
    await pipe[Symbol.asyncDispose]();
    throw error;
  }
}

type Parts = Required<UsbPipeParts> & { readonly place: UsbPlace };

/** The kernel's memory for transfers is used up: wait, or ask for less. */
class OutOfMemory extends Error {}

class UsbPipe implements PtpPipe {
  readonly name: string;
  readonly closed: Promise<void>;
  readonly maxPacketBytes: number;
  readonly vendorId: number;
  readonly productId: number;
  readonly #device: UsbHandle;
  readonly #endpoints: PtpEndpoints;
  readonly #parts: Parts;
  readonly #leaveBudget: () => void;
  readonly #closing = new AbortController();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #lines = { in: Promise.resolve(), out: Promise.resolve(), claims: Promise.resolve() };
  #state: 'released' | 'claimed' | 'ending' | 'gone' = 'released';
  /** From then on nothing is opened any more, also not by a call that waited in line. */
  #isDisposed = false;
  #events: Promise<void> = Promise.resolve();
  #capBytes = Infinity;
  #goodReads = 0;

  constructor(device: UsbHandle, endpoints: PtpEndpoints, parts: Parts) {
    this.#device = device;
    this.#endpoints = endpoints;
    this.#parts = parts;
    this.name = parts.place.portPath;
    this.maxPacketBytes = endpoints.bulkInPacketBytes;
    this.vendorId = device.vendorId;
    this.productId = device.productId;
    this.#leaveBudget = parts.budget.join();
    const closed = Promise.withResolvers<void>();
    this.closed = closed.promise;
    this.#closing.signal.addEventListener('abort', () => closed.resolve(), { once: true });
    void this.#watchPresence();
  }

  get longestReadBytes(): number {
    const bytes = Math.min(this.#parts.budget.readBytes, this.#capBytes);
    return Math.max(Math.floor(bytes / this.maxPacketBytes), 1) * this.maxPacketBytes;
  }

  read(maxBytes: number, timeoutMs: number): Promise<PtpChunk> {
    return this.#inLine('in', async () => {
      await this.#lines.claims; // an interface that is just being claimed again
      for (let attempt = 1; ; attempt++) {
        // Anything but whole packets is cut off silently by the binding.
        const wanted = Math.ceil(maxBytes / this.maxPacketBytes) * this.maxPacketBytes;
        const length = Math.min(wanted, this.longestReadBytes);
        const giveBack = await this.#room(length);
        try {
          const received = await this.#call('read', () =>
            this.#device.nativeTransferIn(this.#endpoints.bulkIn, timeoutMs, length),
          );
          this.#afterGoodRead();
          const bytes = received ?? new Uint8Array(0);
          return { bytes, endsTransfer: bytes.length < length };
        } catch (error) {
          // Other programs use the same memory. Nothing was received: the device does not know that it was asked.
          if (!(error instanceof OutOfMemory)) throw error;
          if (attempt >= memoryTries) throw new DockError('usb.transfer-failed', 'no memory for transfers');
          this.#goodReads = 0;
          this.#capBytes = Math.max(length / 2, this.maxPacketBytes);
          if (length === this.maxPacketBytes) await this.#parts.clock.sleep(memoryPauseMs);
        } finally {
          giveBack();
        }
      }
    });
  }

  async #room(bytes: number): Promise<() => void> {
    return this.#parts.budget.acquire(bytes, this.#closing.signal).catch(() => {
      throw new DockError('link.closed', this.name);
    });
  }

  #afterGoodRead(): void {
    if (this.#capBytes === Infinity || ++this.#goodReads < readsUntilLonger) return;
    this.#goodReads = 0;
    this.#capBytes *= 2;
    if (this.#capBytes >= this.#parts.budget.readBytes) this.#capBytes = Infinity;
  }

  write(bytes: Uint8Array, timeoutMs: number): Promise<void> {
    return this.#inLine('out', async () => {
      const { bulkOut, bulkOutPacketBytes } = this.#endpoints;
      const send = async (part: Uint8Array): Promise<void> => {
        const written = await this.#withMemory('write', () =>
          this.#device.nativeTransferOut(bulkOut, timeoutMs, part),
        );
        if (written !== part.length) {
          throw new DockError('usb.transfer-failed', `${written} of ${part.length} bytes written`);
        }
      };
      await send(bytes);
      // A transfer that fills its last packet ends with an empty one.
      if (bytes.length % bulkOutPacketBytes === 0) await send(new Uint8Array(0));
    });
  }

  clearHalt(direction: 'in' | 'out'): Promise<void> {
    const { bulkIn, bulkOut } = this.#endpoints;
    return this.#inLine(direction, () =>
      this.#withMemory('clear halt', () =>
        this.#device.clearHalt(direction, direction === 'in' ? bulkIn : bulkOut),
      ),
    );
  }

  async cancel(transactionId: number): Promise<void> {
    const data = new Uint8Array(6);
    const view = new DataView(data.buffer);
    view.setUint16(0, cancelEventCode, true);
    view.setUint32(2, transactionId, true);
    await this.#control(classRequest.cancel, data);
  }

  async classReset(): Promise<void> {
    await this.#control(classRequest.reset, new Uint8Array(0));
  }

  async status(): Promise<number | undefined> {
    try {
      const answer = await this.#withMemory('status', () =>
        this.#device.nativeControlTransferIn(this.#setup(classRequest.status), controlTimeoutMs, statusBytes),
      );
      const [low, high] = answer?.subarray(2, 4) ?? [];
      return low === undefined || high === undefined ? undefined : low | (high << 8);
    } catch (error) {
      if (error instanceof DockError && error.code === 'usb.stall') return undefined;
      throw error;
    }
  }

  async #control(request: number, data: Uint8Array): Promise<void> {
    await this.#withMemory(`class request 0x${request.toString(16)}`, () =>
      this.#device.nativeControlTransferOut(this.#setup(request), controlTimeoutMs, data),
    );
  }

  #setup(request: number): Parameters<UsbHandle['nativeControlTransferIn']>[0] {
    const index = this.#endpoints.interfaceNumber;
    return { requestType: 'class', recipient: 'interface', request, value: 0, index };
  }

  abandon(): Promise<void> {
    return this.#inLine('claims', async () => {
      if (this.#state !== 'claimed' || this.#underWay.size === 0) return;
      await this.#endTransfers();
      await this.#claimAgain();
    });
  }

  release(): Promise<void> {
    return this.#inLine('claims', async () => {
      if (this.#state === 'released' || this.#state === 'gone') return;
      await this.#endTransfers();
      await this.#giveUp();
    });
  }

  claim(): Promise<void> {
    return this.#inLine('claims', async () => {
      this.#expectUsable();
      if (this.#state === 'claimed') return;
      await this.#outsideTransfers('open', () => this.#device.open());
      try {
        await this.#claimOpened();
      } catch (error) {
        await this.#giveUp();
        throw error;
      }
    });
  }

  async #claimOpened(): Promise<void> {
    const { backend, place } = this.#parts;
    const { interfaceNumber } = this.#endpoints;
    const { driver } = (await backend.endpoints(place.portPath, interfaceNumber)) ?? {};
    this.#expectUsable();
    // usbfs is a program like this one: what it holds is not taken from it.
    if (driver !== undefined && driver !== 'usbfs') {
      await this.#outsideTransfers('detach', () => this.#device.detachKernelDriver(interfaceNumber));
    }
    await this.#outsideTransfers('claim', () => this.#device.claimInterface(interfaceNumber));
    this.#nowClaimed();
  }

  /** What nobody gives up stays claimed as long as this program runs. */
  async #giveUp(): Promise<void> {
    await this.#device.releaseInterface(this.#endpoints.interfaceNumber).catch(() => undefined);
    await this.#device.close().catch(() => undefined);
    if (this.#state !== 'gone') this.#state = 'released';
  }

  #expectUsable(): void {
    if (this.#isDisposed || this.#state === 'gone') throw new DockError('link.closed', this.name);
  }

  reset(): Promise<void> {
    return this.#inLine('claims', async () => {
      this.#expectUsable();
      await this.#endTransfers();
      await this.#outsideTransfers('reset', () => this.#device.reset());
      await this.#parts.clock.sleep(resetPauseMs);
      await this.#claimAgain();
    });
  }

  /**
   * Taking the interface from usbfs is the one way to end a transfer early: the binding cannot cancel, and the kernel
   * ends what belongs to a driver that is unbound (seen in the lab: at once, as Disconnected). Again and again, since a
   * transfer that was just being submitted claims the interface anew.
   */
  async #endTransfers(): Promise<void> {
    if (this.#state === 'gone') throw new DockError('link.closed', this.name);
    this.#state = 'ending';
    for (let attempt = 0; this.#underWay.size > 0 && attempt < endingTries; attempt++) {
      await this.#device.detachKernelDriver(this.#endpoints.interfaceNumber).catch(() => undefined);
      const pause = new AbortController();
      await Promise.race([
        Promise.allSettled(this.#underWay),
        this.#parts.clock.sleep(endingPauseMs, pause.signal).catch(() => undefined),
      ]);
      pause.abort();
    }
    if (this.#underWay.size === 0) await this.#events;
  }

  /** Releases first: the binding lets go of the old claim after it has made the new one, which undoes both. */
  async #claimAgain(): Promise<void> {
    const { interfaceNumber } = this.#endpoints;
    await this.#device.releaseInterface(interfaceNumber).catch(() => undefined);
    await this.#outsideTransfers('claim', () => this.#device.claimInterface(interfaceNumber));
    try {
      this.#nowClaimed();
    } catch (error) {
      await this.#giveUp();
      throw error;
    }
  }

  #nowClaimed(): void {
    this.#expectUsable();
    this.#state = 'claimed';
    this.#events = this.#readEvents();
  }

  /** See the contract: an event that nobody reads can hold up everything else. */
  async #readEvents(): Promise<void> {
    const { interrupt } = this.#endpoints;
    if (!interrupt) return;
    for (let failures = 0; this.#state === 'claimed' && failures < mostEventFailures;) {
      try {
        await this.#call('event', () =>
          this.#device.nativeTransferIn(interrupt.number, eventTimeoutMs, interrupt.packetBytes),
        );
        failures = 0;
      } catch (error) {
        if (error instanceof DockError && error.code === 'wire.timeout') continue;
        failures++;
        if (!(error instanceof DockError) || error.code !== 'usb.stall') continue;
        await this.#call('clear halt', () => this.#device.clearHalt('in', interrupt.number)).catch(
          () => undefined,
        );
      }
    }
  }

  async #withMemory<T>(what: string, start: () => Promise<T>): Promise<T> {
    await this.#lines.claims;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#call(what, start);
      } catch (error) {
        if (!(error instanceof OutOfMemory)) throw error;
        if (attempt >= memoryTries) throw new DockError('usb.transfer-failed', 'no memory for transfers');
        await this.#parts.clock.sleep(memoryPauseMs);
      }
    }
  }

  async #call<T>(what: string, start: () => Promise<T>): Promise<T> {
    if (this.#state === 'gone') throw new DockError('link.closed', this.name);
    if (this.#state !== 'claimed') throw new DockError('usb.transfer-failed', `${what}: interface given up`);
    const call = (async () => start())();
    this.#underWay.add(call);
    try {
      return await call;
    } catch (error) {
      throw await this.#failure(what, error);
    } finally {
      this.#underWay.delete(call);
    }
  }

  /** For what needs the device for itself: open, claim, reset. The binding refuses them while a transfer is pending. */
  async #outsideTransfers(what: string, start: () => Promise<void>): Promise<void> {
    try {
      await start();
    } catch (error) {
      const failure = await this.#failure(what, error);
      throw failure instanceof OutOfMemory ? new DockError('usb.transfer-failed', what) : failure;
    }
  }

  async #failure(what: string, error: unknown): Promise<Error> {
    const text = error instanceof Error ? error.message : String(error);
    const kind = classify(text);
    if (kind === 'no-memory') return new OutOfMemory(text);
    const detail = `${this.name}: ${what}: ${text}`;
    if (kind === 'link.closed' || kind === 'suspect') {
      if (this.#state === 'ending' && this.#underWay.size > 0) return new DockError('wire.timeout', detail);
      await this.#parts.clock.sleep(suspicionMs);
      if (!(await this.#parts.backend.isPresent(this.#parts.place))) {
        this.#gone();
        return new DockError('link.closed', detail, { cause: error });
      }
      return new DockError('usb.transfer-failed', detail, { cause: error });
    }
    return new DockError(kind, detail, { cause: error });
  }

  async #inLine<T>(line: 'in' | 'out' | 'claims', work: () => Promise<T>): Promise<T> {
    const turn = this.#lines[line].then(work);
    this.#lines[line] = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }

  async #watchPresence(): Promise<void> {
    const { clock, backend, place, presencePollMs } = this.#parts;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await clock.sleep(presencePollMs, signal).catch(() => undefined);
      if (!signal.aborted && !(await backend.isPresent(place))) this.#gone();
    }
  }

  #gone(): void {
    this.#state = 'gone';
    this.#closing.abort(new DockError('link.closed', this.name));
  }

  /** Takes three seconds at most; a transfer that cannot be ended by then keeps the interface until its time-out. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    await this.release().catch(() => undefined);
    this.#leaveBudget();
    if (this.#state === 'gone' && this.#underWay.size === 0)
      await this.#device.close().catch(() => undefined);
    this.#gone();
  }
}
