import { DockError } from '../../protocol/errors.ts';
import { ptpOperation, ptpResponse } from '../../protocol/ptp/codes.ts';
import type { ObjectInfo } from '../../protocol/ptp/datasets.ts';
import type { ListedRecording } from './camera.ts';
import type { MtpDevice } from './mtp-device.ts';
import type { FoundObject, MtpListing } from './mtp-listing.ts';
import { readObject, readSize, SessionLost } from './mtp-objects.ts';
import { isWireTrouble, type PtpResult } from './ptp-exchange.ts';
import { responseError } from './ptp-session.ts';

const firstWindowBytes = 1024 * 1024;
const leastWindowBytes = 64 * 1024;
const windowsUntilLonger = 4;
const lookUps = 4;
const firstUnreachableBytes = 2 ** 32;

/** Where a read stands. */
interface Position {
  readonly recording: ListedRecording;
  readonly sizeBytes: number;
  object: FoundObject;
}

/** Reads recordings of one camera; what it learns about the length of reads holds for all of them. */
export class MtpReader {
  readonly #device: MtpDevice;
  readonly #listing: MtpListing;
  #windowBytes = firstWindowBytes;
  #goodWindows = 0;

  constructor(device: MtpDevice, listing: MtpListing) {
    this.#device = device;
    this.#listing = listing;
  }

  /**
   * The bytes of a recording from `offset` on: in windows where the camera reads in parts, since those can be repeated
   * and left at any time; else the whole object, what lies before `offset` thrown away.
   * Errors: `recording.*`, `ptp.*`, `wire.*`, `link.closed`.
   */
  async *read(recording: ListedRecording, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    signal.throwIfAborted();
    const leaving = new AbortController();
    const either = AbortSignal.any([signal, leaving.signal]);
    try {
      const position = {
        recording,
        sizeBytes: Number(recording.sizeBytes),
        object: await confirm(this.#device, this.#listing, recording, signal),
      };
      let next = offset;
      while (next < position.sizeBytes) {
        const operation = this.#partialOperation(position.sizeBytes);
        const pieces =
          operation === undefined
            ? this.#whole(position, next, either)
            : this.#windows(position, { operation, offset: next }, either);
        for await (const bytes of pieces) {
          next += bytes.length;
          yield bytes;
        }
      }
    } catch (error) {
      throw await this.#device.whyStalled(error, recording.path, signal);
    } finally {
      leaving.abort(new Error('the rest is not wanted'));
    }
  }

  #partialOperation(sizeBytes: number): number | undefined {
    if (this.#device.quirks.maxPartialBytes === 0) return undefined;
    if (this.#device.supports(ptpOperation.getPartialObject64)) return ptpOperation.getPartialObject64;
    const isReachable = sizeBytes < firstUnreachableBytes;
    return isReachable && this.#device.supports(ptpOperation.getPartialObject)
      ? ptpOperation.getPartialObject
      : undefined;
  }

  /** One window ahead: the camera sends it while the last one is hashed and written. Ends early when refused. */
  async *#windows(
    position: Position,
    { operation, offset }: { operation: number; offset: number },
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let next = offset;
    let ahead: Promise<Uint8Array | undefined> | undefined;
    while (next < position.sizeBytes) {
      const window = await (ahead ?? this.#window(position, { operation, offset: next }, signal));
      ahead = undefined;
      if (!window) return;
      next += window.length;
      if (next < position.sizeBytes) {
        ahead = this.#window(position, { operation, offset: next }, signal);
        ahead.catch(() => undefined); // seen when its turn comes
      }
      yield window;
    }
  }

  /** Undefined when the camera does not have the operation after all. */
  async #window(
    position: Position,
    { operation, offset }: { operation: number; offset: number },
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    for (let attempt = 1; ; attempt++) {
      const bytes = this.#lengthAt(offset, position.sizeBytes);
      try {
        const { answer, window } = await this.#readPart(
          position.object,
          { operation, offset, bytes },
          signal,
        );
        switch (answer.code) {
          case ptpResponse.ok:
            if (window.length === 0) throw new DockError('recording.size-mismatch', `ends at ${offset}`);
            this.#afterWindow(window.length === bytes);
            return window;
          case ptpResponse.operationNotSupported:
            return undefined;
          case ptpResponse.sessionNotOpen:
          case ptpResponse.invalidObjectHandle:
            if (attempt >= lookUps) throw vanished(position.recording);
            position.object = await this.#findAgain(position, signal);
            break;
          case ptpResponse.generalError:
          case ptpResponse.incompleteTransfer:
          case ptpResponse.transactionCancelled:
            this.#afterWindow(false);
            if (attempt >= this.#device.timings.attempts) {
              throw new DockError('recording.stalled', `response 0x${answer.code.toString(16)} at ${offset}`);
            }
            break;
          default:
            throw responseError('GetPartialObject', answer.code);
        }
      } catch (error) {
        if (signal.aborted || !isWireTrouble(error)) throw error;
        this.#afterWindow(false);
        const isIdle = attempt >= this.#device.timings.attempts || this.#device.session.isBeyondRecovery;
        if (isIdle) throw error;
      }
    }
  }

  /** Never past the end, where some hang; what came is checked against what was asked and against what was said. */
  async #readPart(
    { handle, epoch }: FoundObject,
    { operation, offset, bytes }: { operation: number; offset: number; bytes: number },
    signal: AbortSignal,
  ): Promise<{ answer: PtpResult; window: Uint8Array }> {
    const window = new Uint8Array(bytes);
    let filled = 0;
    const parameters =
      operation === ptpOperation.getPartialObject64
        ? [handle, offset % 2 ** 32, Math.floor(offset / 2 ** 32), bytes]
        : [handle, offset, bytes];
    const answer = await this.#device.request(operation, parameters, {
      epoch,
      signal,
      attempts: 1,
      answerMs: this.#device.timings.windowMs,
      expectedBytes: bytes,
      onData: (part) => {
        if (filled + part.length > bytes) throw new DockError('wire.malformed', 'more than was asked for');
        window.set(part, filled);
        filled += part.length;
      },
    });
    const [stated] = answer.parameters;
    if (answer.code === ptpResponse.ok && stated !== undefined && stated !== filled) {
      throw new DockError('wire.malformed', `${filled} bytes came, ${stated} were sent`);
    }
    return { answer, window: filled === bytes ? window : window.subarray(0, filled) };
  }

  #lengthAt(offset: number, sizeBytes: number): number {
    const { maxPartialBytes, avoidAlignedTail } = this.#device.quirks;
    const bytes = Math.min(this.#windowBytes, maxPartialBytes, sizeBytes - offset);
    const endsAligned = (12 + bytes) % 512 === 0;
    return avoidAlignedTail && endsAligned && bytes > 1 ? bytes - 1 : bytes;
  }

  #afterWindow(isGood: boolean): void {
    const { maxPartialBytes } = this.#device.quirks;
    if (!isGood) {
      this.#goodWindows = 0;
      const isLong = this.#windowBytes > firstWindowBytes;
      this.#windowBytes = isLong ? firstWindowBytes : Math.max(this.#windowBytes / 2, leastWindowBytes);
    } else if (++this.#goodWindows >= windowsUntilLonger) {
      this.#goodWindows = 0;
      this.#windowBytes = Math.min(this.#windowBytes * 2, Math.max(maxPartialBytes, leastWindowBytes));
    }
  }

  /** What is put together of two objects is neither: only the one that was begun with is read on. */
  async #findAgain({ recording, object }: Position, signal: AbortSignal): Promise<FoundObject> {
    const isFresh = object.epoch === this.#device.session.epoch;
    const seen = await lookUp(this.#device, this.#listing, { recording, signal, isFresh });
    if (seen.kind === 'same') return seen.found;
    throw vanished(recording);
  }

  /** Leaving in the middle breaks the transaction off, which costs a recovery: there is no other way out. */
  async *#whole(position: Position, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { session, timings } = this.#device;
    let delivered = offset;
    for (let attempt = 1; ; attempt++) {
      let received = 0;
      const stream = session.stream(ptpOperation.getObject, [position.object.handle], {
        signal,
        epoch: position.object.epoch,
        answerMs: timings.windowMs,
        expectedBytes: position.sizeBytes,
        exactBytes: position.sizeBytes,
      });
      try {
        for (;;) {
          const step = await stream.next();
          if (step.done) {
            if (await this.#isOver(position, { answer: step.value, received, attempt }, signal)) return;
            break;
          }
          const from = Math.max(0, delivered - received);
          received += step.value.length;
          if (received > position.sizeBytes)
            throw new DockError('recording.size-mismatch', 'more than listed');
          if (from >= step.value.length) continue;
          delivered = received;
          yield step.value.subarray(from);
        }
      } catch (error) {
        const isIdle = attempt >= timings.attempts || session.isBeyondRecovery;
        if (!isWireTrouble(error) || isIdle) throw error;
      } finally {
        await stream.return({ code: 0, parameters: [], data: new Uint8Array(0) });
      }
    }
  }

  /** Whether the object came to its end; false when it is to be asked for again. */
  async #isOver(
    position: Position,
    { answer, received, attempt }: { answer: PtpResult; received: number; attempt: number },
    signal: AbortSignal,
  ): Promise<boolean> {
    switch (answer.code) {
      case ptpResponse.ok:
        if (received === position.sizeBytes) return true;
        throw new DockError('recording.size-mismatch', `ends at ${received}`);
      case ptpResponse.sessionNotOpen:
      case ptpResponse.invalidObjectHandle:
        if (attempt >= lookUps) throw vanished(position.recording);
        position.object = await this.#findAgain(position, signal);
        return false;
      case ptpResponse.deviceBusy:
      case ptpResponse.generalError:
      case ptpResponse.incompleteTransfer:
      case ptpResponse.transactionCancelled:
        if (attempt >= this.#device.timings.attempts) {
          throw new DockError('recording.stalled', `response 0x${answer.code.toString(16)} at ${received}`);
        }
        await this.#device.clock.sleep(this.#device.timings.busyFromMs * 2 ** attempt, signal);
        return false;
      default:
        throw responseError('GetObject', answer.code);
    }
  }
}

export type LookUp =
  | { readonly kind: 'same'; readonly found: FoundObject }
  | { readonly kind: 'absent' }
  | { readonly kind: 'another'; readonly error: DockError };

/**
 * The object of a recording as it is now: still there, and still what was listed.
 * Errors: `recording.vanished`, `recording.size-mismatch`, `recording.stalled` when that cannot be told.
 */
export async function confirm(
  device: MtpDevice,
  listing: MtpListing,
  recording: ListedRecording,
  signal: AbortSignal,
): Promise<FoundObject> {
  const seen = await lookUp(device, listing, { recording, signal });
  if (seen.kind === 'same') return seen.found;
  throw seen.kind === 'another' ? seen.error : vanished(recording);
}

/**
 * What is at the path of a recording now. A handle that has come to stand for something else is looked up anew.
 * Errors: `recording.stalled` when that cannot be told.
 */
export async function lookUp(
  device: MtpDevice,
  listing: MtpListing,
  { recording, signal, isFresh = false }: LookUpRequest,
): Promise<LookUp> {
  for (let attempt = 0; attempt < lookUps; attempt++) {
    const found = await listing.find(recording.id, signal, { isFresh: isFresh || attempt > 0 });
    if (!found) return { kind: 'absent' };
    const options = { epoch: found.epoch, signal };
    try {
      const answer = await readObject(device, found.handle, options);
      if (answer.kind === 'unreadable') throw stalled(recording, answer.reason);
      if (answer.kind === 'gone' || answer.info.name !== found.name || answer.info.isFolder) continue;
      const sizeBytes = await readSize(device, found.handle, answer.info, options);
      const error = difference(recording, sizeBytes, answer.info);
      return error ? { kind: 'another', error } : { kind: 'same', found };
    } catch (error) {
      if (!(error instanceof SessionLost)) throw error;
    }
  }
  throw stalled(recording, 'its handle means something else again and again');
}

interface LookUpRequest {
  readonly recording: ListedRecording;
  readonly signal: AbortSignal;
  /** Asks the camera in any case where it is. */
  readonly isFresh?: boolean;
}

function difference(
  { path, sizeBytes: listedBytes, statedTimes }: ListedRecording,
  sizeBytes: number | bigint | undefined,
  { capturedAt, modifiedAt }: ObjectInfo,
): DockError | undefined {
  if (sizeBytes === undefined || BigInt(sizeBytes) !== BigInt(listedBytes)) {
    return new DockError('recording.size-mismatch', `listed ${listedBytes} bytes, has ${sizeBytes}`);
  }
  if (!statedTimes) return undefined;
  const isSameTime = statedTimes.captured === capturedAt && statedTimes.modified === modifiedAt;
  return isSameTime
    ? undefined
    : new DockError('recording.vanished', `${path.slice(0, 200)} has other dates`);
}

function vanished({ path }: ListedRecording): DockError {
  return new DockError('recording.vanished', path.slice(0, 200));
}

function stalled({ path }: ListedRecording, why: string): DockError {
  return new DockError('recording.stalled', `${path.slice(0, 200)}: ${why}`);
}
