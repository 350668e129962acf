import { DockError } from '../../protocol/errors.ts';
import { ptpOperation, ptpResponse } from '../../protocol/ptp/codes.ts';
import { decodeDeviceInfo, type DeviceInfo } from '../../protocol/ptp/datasets.ts';
import { quirksFor, type PtpQuirks } from '../../protocol/ptp/quirks.ts';
import type { Clock } from '../clock.ts';
import { isWireTrouble, type PtpResult } from './ptp-exchange.ts';
import type { PtpPipe } from './ptp-pipe.ts';
import { PtpSession, responseError, type TransactOptions } from './ptp-session.ts';
import type { PtpTimings } from './ptp-timings.ts';

export interface MtpRequestOptions extends TransactOptions {
  /** Attempts after a broken transaction; 1 for what must not be repeated unseen. */
  readonly attempts?: number;
}

/** A responder with what is known of it, asked until it answers: what its response codes ask for is done here. */
export class MtpDevice {
  readonly session: PtpSession;
  readonly clock: Clock;
  readonly timings: PtpTimings;
  #info: DeviceInfo;
  #quirks: PtpQuirks;
  /** Operations that were refused although DeviceInfo names them, as Sony Xperia and umtprd do. */
  readonly #refused = new Set<number>();

  private constructor(session: PtpSession, clock: Clock, timings: PtpTimings) {
    this.session = session;
    this.clock = clock;
    this.timings = timings;
    this.#info = nothingKnown;
    this.#quirks = quirksFor({ ...nothingKnown, vendorId: 0, productId: 0 });
  }

  /** The session comes first: umtprd before 1.6.8 does not say what it is without one. */
  static async open(
    pipe: PtpPipe,
    clock: Clock,
    { timings, signal }: { timings: PtpTimings; signal: AbortSignal },
  ): Promise<MtpDevice> {
    const device = new MtpDevice(new PtpSession(pipe, clock, timings), clock, timings);
    device.#info = await device.readInfo(signal);
    device.#quirks = quirksFor({ ...device.#info, vendorId: pipe.vendorId, productId: pipe.productId });
    if (device.#quirks.ignoreHeader) device.session.ignoreHeaders();
    return device;
  }

  get info(): DeviceInfo {
    return this.#info;
  }

  get quirks(): PtpQuirks {
    return this.#quirks;
  }

  async readInfo(signal: AbortSignal): Promise<DeviceInfo> {
    const { data } = await this.expectOk('GetDeviceInfo', ptpOperation.getDeviceInfo, [], { signal });
    return decodeDeviceInfo(data);
  }

  /** Says so and has not shown otherwise. */
  supports(operation: number): boolean {
    return this.#info.operations.has(operation) && !this.#refused.has(operation);
  }

  /**
   * The answer, whatever it is, after what can be cured by asking again. With an `epoch`, SessionNotOpen is given to
   * the caller, who has to find its handles anew. Errors: `ptp.busy`, `wire.*`, `usb.*`, `link.closed`.
   */
  async request(
    operation: number,
    parameters: readonly number[],
    { attempts = this.timings.attempts, ...options }: MtpRequestOptions,
  ): Promise<PtpResult> {
    const { answerMs, longMs, busyFromMs, busyToMs, busyForMs } = this.timings;
    const patience = { answerMs: this.#quirks.longTimeout ? longMs : answerMs, ...options };
    const busyUntil = this.clock.monotonic() + busyForMs;
    let pauseMs = busyFromMs;
    for (let attempt = 1, cures = 0; ;) {
      options.signal.throwIfAborted();
      let answer: PtpResult;
      try {
        answer = await this.session.transact(operation, parameters, patience);
      } catch (error) {
        const isIdle = attempt >= attempts || this.session.isBeyondRecovery;
        if (!isWireTrouble(error) || isIdle) throw error;
        attempt++;
        continue;
      }
      if (answer.code === ptpResponse.operationNotSupported) this.#refused.add(operation);
      if (isBusy(answer)) {
        if (this.clock.monotonic() >= busyUntil) return answer;
        await this.clock.sleep(pauseMs, options.signal);
        pauseMs = Math.min(pauseMs * 2, busyToMs);
      } else if (!this.#cure(answer, cures++, options)) {
        return answer;
      }
    }
  }

  /** Whether it is worth asking again. */
  #cure({ code }: PtpResult, cures: number, { epoch }: MtpRequestOptions): boolean {
    switch (code) {
      case ptpResponse.generalError:
      case ptpResponse.incompleteTransfer:
        return cures === 0;
      case ptpResponse.transactionCancelled:
        return cures < this.timings.attempts;
      case ptpResponse.invalidTransactionId:
        if (cures === 0) this.session.skipTransactionIds(10);
        else this.session.renew();
        return cures < 2;
      case ptpResponse.sessionNotOpen:
        return epoch === undefined && cures < this.timings.attempts;
      default:
        return false;
    }
  }

  /** For what every camera can do. Errors in addition: `ptp.rejected`, `ptp.access-denied`. */
  async expectOk(
    what: string,
    operation: number,
    parameters: readonly number[],
    options: MtpRequestOptions,
  ): Promise<PtpResult> {
    const answer = await this.request(operation, parameters, options);
    if (answer.code !== ptpResponse.ok) throw responseError(what, answer.code);
    return answer;
  }

  /** What a broken transaction on one object means: the camera is gone or silent, or only this object is stuck. */
  async whyStalled(error: unknown, path: string, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    if (!isWireTrouble(error) || this.session.isBeyondRecovery) return error;
    await this.session.ready(signal);
    return new DockError('recording.stalled', path.slice(0, 200), { cause: error });
  }
}

function isBusy({ code }: PtpResult): boolean {
  return code === ptpResponse.deviceBusy || code === ptpResponse.storeNotAvailable;
}

const nothingKnown: DeviceInfo = {
  vendorExtensionId: 0,
  extensionDescription: '',
  operations: new Set(),
  events: new Set(),
  deviceProperties: new Set(),
  manufacturer: '',
  model: '',
  version: '',
  serialNumber: '',
};
