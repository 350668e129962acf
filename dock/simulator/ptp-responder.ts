import { DockError } from '../../protocol/errors.ts';
import { ptpDeviceProperty, ptpOperation, ptpResponse, unknownLength } from '../../protocol/ptp/codes.ts';
import { ByteWriter } from '../../protocol/ptp/byte-writer.ts';
import { containerHeaderBytes, containerType } from '../../protocol/ptp/container.ts';
import type { PtpChunk, PtpPipe } from '../camera/ptp-pipe.ts';
import type { Clock } from '../clock.ts';
import type { DeviceClock } from './device-clock.ts';
import {
  answerOf,
  type SimulatedAnswer,
  type SimulatedPayload,
  type SimulatedPtpDevice,
} from './ptp-answers.ts';
import { noPtpFaults, type PtpFaults } from './ptp-faults.ts';
import { SimulatedObjects, type SimulatedObject } from './ptp-objects.ts';
import type { RecordingStore } from './recording-store.ts';

export interface PtpResponderOptions {
  readonly store: RecordingStore;
  /** The host's, for waiting. */
  readonly hostClock: Clock;
  readonly clock?: DeviceClock;
  readonly serialNumber?: string;
  readonly manufacturer?: string;
  readonly model?: string;
  readonly extensionDescription?: string;
  readonly vendorId?: number;
  readonly zoneMinutes?: number;
  /** Operations it does not have. */
  readonly without?: readonly number[];
  /** Properties it does not have. */
  readonly withoutProperties?: readonly number[];
  readonly maxPacketBytes?: number;
  readonly faults?: Partial<PtpFaults>;
  /** Objects beside those of the store. */
  readonly strange?: readonly SimulatedObject[];
}

/** What the device has to send, as one transfer on the bus. */
interface Transfer {
  readonly payload: SimulatedPayload;
  readonly end: 'short or empty' | 'nothing';
  readonly isRecording: boolean;
  sentBytes: number;
}

const downloads: readonly number[] = [
  ptpOperation.getObject,
  ptpOperation.getPartialObject,
  ptpOperation.getPartialObject64,
];
/** A device takes commands while so little is still to be fetched. */
const fifoBytes = 64;

/**
 * A PTP responder in memory, with the faults of real ones on demand: the other end of a PtpPipe and the pipe in one.
 * Like npm `usb` 3.1 it drops what a timed-out read had received.
 */
export class PtpResponder implements PtpPipe {
  readonly name = 'simulated camera';
  readonly closed: Promise<void>;
  readonly maxPacketBytes: number;
  longestReadBytes = 1024 * 1024;
  readonly vendorId: number;
  readonly productId = 1;
  readonly faults: PtpFaults;
  /** What the host did: operations in hex, and what it asked of the pipe by name. */
  readonly calls: string[] = [];
  /** Longest partial read that was asked for. */
  longestPartBytes = 0;
  /** All that went to the host. */
  sentBytes = 0;
  readonly #device: SimulatedPtpDevice;
  readonly #hostClock: Clock;
  readonly #close: () => void;
  #queue: Transfer[] = [];
  #hasSession = false;
  #isGone = false;
  #isReleased = false;
  #answers = 0;
  #lostOperation: number | undefined;
  #lastTransactionId = 0;
  #awaitedData:
    { readonly operation: number; readonly parameters: number[]; readonly transactionId: number } | undefined;
  #received = new Uint8Array(0);
  #wake = Promise.withResolvers<void>();
  #abandonments = 0;

  constructor(options: PtpResponderOptions) {
    const closed = Promise.withResolvers<void>();
    this.closed = closed.promise;
    this.#close = closed.resolve;
    this.#hostClock = options.hostClock;
    this.maxPacketBytes = options.maxPacketBytes ?? 512;
    this.vendorId = options.vendorId ?? 0x1d6b;
    this.faults = { ...noPtpFaults(), ...options.faults };
    const operations = Object.values(ptpOperation).filter((code) => !options.without?.includes(code));
    const properties = Object.values(ptpDeviceProperty).filter(
      (code) => !options.withoutProperties?.includes(code),
    );
    this.#device = {
      serialNumber: options.serialNumber ?? 'BC-77',
      manufacturer: options.manufacturer ?? 'Maker',
      model: options.model ?? 'Camera',
      extensionDescription: options.extensionDescription ?? 'microsoft.com: 1.0; android.com: 1.0;',
      operations: new Set(operations),
      deviceProperties: new Set(properties),
      clock: options.clock,
      zoneMinutes: options.zoneMinutes ?? 300,
      objects: new SimulatedObjects(options.store, options.strange),
      faults: this.faults,
    };
  }

  /** Another camera answers in its place. */
  becomeAnother(serialNumber: string): void {
    this.#device.serialNumber = serialNumber;
  }

  /** As a host leaves it that died: a session is open, and bytes of a recording may be on their way. */
  leaveBehind(recordingBytes: number): void {
    this.#hasSession = true;
    if (recordingBytes === 0) return;
    const payload = {
      sizeBytes: recordingBytes,
      slice: (from: number, to: number) => new Uint8Array(to - from).fill(7),
    };
    this.#queue.push({ payload, end: 'short or empty', isRecording: true, sentBytes: 0 });
  }

  /** Does it, and its answer never arrives. */
  loseAnswerTo(operation: number): void {
    this.#lostOperation = operation;
  }

  /** Nobody asked for it. */
  sendStrayResponse(transactionId: number): void {
    this.#put(container(containerType.response, ptpResponse.ok, transactionId));
  }

  unplug(): void {
    this.#isGone = true;
    this.#stir();
    this.#close();
  }

  async write(bytes: Uint8Array, timeoutMs: number): Promise<void> {
    this.#expectClaimed();
    if (this.faults.silent === 'everything' || this.#isSilentUntilCured()) {
      await this.#waitFor(() => false, timeoutMs);
    }
    const isFree = (): boolean => this.pendingBytes <= fifoBytes;
    if (!isFree()) await this.#waitFor(isFree, timeoutMs);
    this.#received = Uint8Array.from(Buffer.concat([this.#received, bytes]));
    while (this.#received.length >= containerHeaderBytes) {
      const view = new DataView(this.#received.buffer);
      const length = view.getUint32(0, true);
      if (this.#received.length < length) return;
      this.#take(view, this.#received.slice(containerHeaderBytes, length));
      this.#received = this.#received.slice(length);
    }
  }

  #take(view: DataView, body: Uint8Array): void {
    const [type, operation, transactionId] = [
      view.getUint16(4, true),
      view.getUint16(6, true),
      view.getUint32(8, true),
    ];
    if (type === containerType.data) {
      const awaited = this.#awaitedData;
      this.#awaitedData = undefined;
      if (awaited) this.#perform({ ...awaited, data: body });
      return;
    }
    this.calls.push(operation.toString(16));
    const parameters = Array.from({ length: body.length / 4 }, (_, index) =>
      new DataView(body.buffer, body.byteOffset).getUint32(index * 4, true),
    );
    const request = { operation, parameters, transactionId };
    if (operation === ptpOperation.setDevicePropValue) this.#awaitedData = request;
    else this.#perform({ ...request, data: undefined });
  }

  #perform(request: {
    operation: number;
    parameters: number[];
    transactionId: number;
    data: Uint8Array | undefined;
  }): void {
    const { operation, parameters, transactionId, data } = request;
    const { faults } = this;
    if (operation === ptpOperation.getPartialObject64) {
      this.longestPartBytes = Math.max(this.longestPartBytes, parameters[3] ?? 0);
    }
    const answer = this.#answer(operation, parameters, data);
    this.#answers++;
    const isDownload = downloads.includes(operation);
    const isNamed = this.#lostOperation === operation;
    if (isNamed) this.#lostOperation = undefined;
    const isLost = isNamed || (faults.loseOneIn > 0 && this.#answers % faults.loseOneIn === 0);
    if (answer.isHanging || isLost || (faults.silent === 'downloads' && isDownload)) return;
    const previous = this.#lastTransactionId;
    this.#lastTransactionId = transactionId;
    if (faults.strayResponses && previous > 0 && previous < transactionId) this.sendStrayResponse(previous);
    for (let event = 0; event < faults.eventsBeforeAnswer; event++) {
      this.#put(container(containerType.event, 0x4007, 1, [event]));
    }
    this.#send(answer, { operation, transactionId, isDownload });
    const isTwice = faults.answersDataTwice && data !== undefined;
    if (isTwice) this.#put(container(containerType.response, answer.code, transactionId));
  }

  #answer(operation: number, parameters: number[], data: Uint8Array | undefined): SimulatedAnswer {
    const refusal = this.faults.refuse.find(
      (each) =>
        each.operation === operation &&
        each.times > 0 &&
        (each.parameter === undefined || parameters.includes(each.parameter)),
    );
    if (refusal) {
      refusal.times--;
      if (refusal.code === ptpResponse.sessionNotOpen) this.#hasSession = false;
      return { code: refusal.code };
    }
    if (operation === ptpOperation.openSession) {
      if (this.#hasSession) return { code: ptpResponse.sessionAlreadyOpen };
      this.#hasSession = true;
      if (this.faults.renumbers) this.#device.objects.renumber();
      return { code: ptpResponse.ok };
    }
    if (!this.#hasSession) return { code: ptpResponse.sessionNotOpen };
    if (operation === ptpOperation.closeSession) {
      this.#hasSession = false;
      return { code: ptpResponse.ok };
    }
    return answerOf(this.#device, operation, parameters, data);
  }

  #send(
    { code, parameters = [], payload }: SimulatedAnswer,
    {
      operation,
      transactionId,
      isDownload,
    }: { operation: number; transactionId: number; isDownload: boolean },
  ): void {
    const response = container(containerType.response, code, transactionId, parameters);
    if (!payload) {
      this.#put(response);
      return;
    }
    const { splitHeader, gluedResponse, afterAligned, sizesModulo32, hidesLengths } = this.faults;
    const length = containerHeaderBytes + payload.sizeBytes;
    const stated = hidesLengths
      ? unknownLength
      : sizesModulo32
        ? length % 2 ** 32
        : Math.min(length, unknownLength);
    const header = containerHeader(stated, containerType.data, operation, transactionId);
    const isAligned = length % this.maxPacketBytes === 0;
    const extra = isAligned && afterAligned === 'one byte' ? Uint8Array.of(0) : new Uint8Array(0);
    const tail = gluedResponse ? Buffer.concat([extra, response]) : extra;
    const sent = isDownload ? this.#withLoss(payload) : payload;
    const end = isAligned && afterAligned === 'nothing' ? 'nothing' : 'short or empty';
    if (splitHeader) {
      this.#put(header);
      this.#queue.push({
        payload: joined(new Uint8Array(0), sent, tail),
        end,
        isRecording: isDownload,
        sentBytes: 0,
      });
    } else {
      this.#queue.push({
        payload: joined(header, sent, tail),
        end,
        isRecording: isDownload,
        sentBytes: 0,
      });
    }
    if (!gluedResponse) this.#put(response);
    this.#stir();
  }

  #withLoss(payload: SimulatedPayload): SimulatedPayload {
    const at = this.faults.losesPacketAt;
    const packet = this.maxPacketBytes;
    if (at === undefined || at + packet > payload.sizeBytes) return payload;
    this.faults.losesPacketAt = undefined;
    return {
      sizeBytes: payload.sizeBytes - packet,
      slice: (from, to) =>
        Buffer.concat([
          payload.slice(Math.min(from, at), Math.min(to, at)),
          payload.slice(Math.max(from, at) + packet, Math.max(to, at) + packet),
        ]),
    };
  }

  #put(bytes: Uint8Array): void {
    this.#queue.push({
      payload: { sizeBytes: bytes.length, slice: (from, to) => bytes.subarray(from, to) },
      end: 'short or empty',
      isRecording: false,
      sentBytes: 0,
    });
    this.#stir();
  }

  async read(maxBytes: number, timeoutMs: number): Promise<PtpChunk> {
    this.#expectClaimed();
    if (maxBytes % this.maxPacketBytes !== 0)
      throw new DockError('internal.bug', `a read of ${maxBytes} bytes`);
    const parts: Uint8Array[] = [];
    let filled = 0;
    while (filled < maxBytes) {
      if (this.#isStuck()) await this.#waitFor(() => !this.#isStuck(), timeoutMs);
      const transfer = this.#queue[0];
      if (!transfer) continue;
      const { payload } = transfer;
      const take = Math.min(
        maxBytes - filled,
        payload.sizeBytes - transfer.sentBytes,
        this.#bytesUntilTrouble(transfer),
      );
      parts.push(payload.slice(transfer.sentBytes, transfer.sentBytes + take));
      transfer.sentBytes += take;
      filled += take;
      this.#count(transfer, take);
      if (transfer.sentBytes < payload.sizeBytes) continue;
      const isAligned = payload.sizeBytes % this.maxPacketBytes === 0;
      // Its empty packet comes as a read of its own.
      if (isAligned && transfer.end !== 'nothing' && filled === maxBytes) {
        if (take === 0) this.#queue.shift();
        break;
      }
      this.#queue.shift();
      this.#stir();
      if (isAligned && transfer.end === 'nothing') continue;
      return { bytes: Buffer.concat(parts), endsTransfer: true };
    }
    return { bytes: Buffer.concat(parts), endsTransfer: filled < maxBytes };
  }

  #isStuck(): boolean {
    const [transfer] = this.#queue;
    if (!transfer || this.faults.silent === 'everything' || this.#isSilentUntilCured()) return true;
    return transfer.isRecording && (this.faults.silent === 'downloads' || this.faults.dieAfterBytes === 0);
  }

  #isSilentUntilCured(): boolean {
    return this.faults.silent?.startsWith('until') === true;
  }

  #bytesUntilTrouble({ isRecording }: Transfer): number {
    const { dieAfterBytes = Infinity, unplugAfterBytes = Infinity } = this.faults;
    return Math.min(isRecording ? dieAfterBytes : Infinity, Math.max(unplugAfterBytes - this.sentBytes, 0));
  }

  #count({ isRecording }: Transfer, bytes: number): void {
    this.sentBytes += bytes;
    const { dieAfterBytes, unplugAfterBytes } = this.faults;
    if (isRecording && dieAfterBytes !== undefined) this.faults.dieAfterBytes = dieAfterBytes - bytes;
    if (unplugAfterBytes !== undefined && this.sentBytes >= unplugAfterBytes) this.unplug();
    this.#expectClaimed();
  }

  /** What it has to send and nobody has fetched. */
  get pendingBytes(): number {
    return this.#queue.reduce((sum, { payload, sentBytes }) => sum + payload.sizeBytes - sentBytes, 0);
  }

  /** Errors: `wire.timeout` when it has not come true in time or was given up. */
  async #waitFor(condition: () => boolean, timeoutMs: number): Promise<void> {
    const timer = new AbortController();
    const abandonments = this.#abandonments;
    let isLate = false;
    const late = this.#hostClock.sleep(timeoutMs, timer.signal).then(
      () => {
        isLate = true;
      },
      () => undefined,
    );
    try {
      while (!condition()) {
        this.#expectClaimed();
        if (isLate || abandonments !== this.#abandonments) throw new DockError('wire.timeout', this.name);
        await Promise.race([this.#wake.promise, late]);
      }
    } finally {
      timer.abort();
    }
  }

  #stir(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  #expectClaimed(): void {
    if (this.#isGone) throw new DockError('link.closed', this.name);
    if (this.#isReleased) throw new DockError('usb.transfer-failed', 'interface given up');
  }

  async clearHalt(direction: 'in' | 'out'): Promise<void> {
    this.#expectClaimed();
    this.calls.push(`clear halt ${direction}`);
  }

  async cancel(): Promise<void> {
    this.#expectClaimed();
    this.calls.push('cancel');
    if (this.faults.silent === 'everything' || this.#isSilentUntilCured()) return;
    if (this.#queue.length === 0 && this.faults.leavesWhenCancelledIdle) this.unplug();
    if (!this.faults.ignoresCancel) this.#clear();
  }

  async status(): Promise<number | undefined> {
    this.#expectClaimed();
    return ptpResponse.ok;
  }

  async classReset(): Promise<void> {
    this.#expectClaimed();
    this.calls.push('class reset');
    this.#cure('until class reset');
    this.#clear();
    this.#hasSession = false;
  }

  async abandon(): Promise<void> {
    this.#abandonments++;
    this.#stir();
  }

  async release(): Promise<void> {
    this.calls.push('release');
    await this.abandon();
    this.#isReleased = true;
  }

  async claim(): Promise<void> {
    if (this.#isGone) throw new DockError('link.closed', this.name);
    this.calls.push('claim');
    this.#cure('until reopened');
    this.#isReleased = false;
  }

  async reset(): Promise<void> {
    if (this.#isGone) throw new DockError('link.closed', this.name);
    this.calls.push('reset');
    this.#cure('until reset');
    this.#hasSession = false;
  }

  #cure(silence: PtpFaults['silent']): void {
    if (this.faults.silent === silence) this.faults.silent = undefined;
    this.#stir();
  }

  #clear(): void {
    this.#queue = [];
    this.#received = new Uint8Array(0);
    if (this.faults.dieAfterBytes === 0) this.faults.dieAfterBytes = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.unplug();
  }
}

function container(
  type: number,
  code: number,
  transactionId: number,
  parameters: readonly number[] = [],
): Uint8Array {
  const header = containerHeader(containerHeaderBytes + 4 * parameters.length, type, code, transactionId);
  const writer = new ByteWriter();
  for (const parameter of parameters) writer.u32(parameter);
  return Buffer.concat([header, writer.bytes()]);
}

function containerHeader(length: number, type: number, code: number, transactionId: number): Uint8Array {
  return new ByteWriter().u32(length).u16(type).u16(code).u32(transactionId).bytes();
}

function joined(head: Uint8Array, payload: SimulatedPayload, tail: Uint8Array): SimulatedPayload {
  const tailAt = head.length + payload.sizeBytes;
  return {
    sizeBytes: tailAt + tail.length,
    slice: (from, to) =>
      Buffer.concat([
        head.subarray(Math.min(from, head.length), Math.min(to, head.length)),
        payload.slice(
          clamp(from - head.length, payload.sizeBytes),
          clamp(to - head.length, payload.sizeBytes),
        ),
        tail.subarray(clamp(from - tailAt, tail.length), clamp(to - tailAt, tail.length)),
      ]),
  };
}

function clamp(value: number, limit: number): number {
  return Math.min(Math.max(value, 0), limit);
}
