import { DockError, hasCode } from '../../protocol/errors.ts';
import { ptpOperation, ptpResponse } from '../../protocol/ptp/codes.ts';
import {
  containerHeaderBytes,
  ContainerStream,
  encodeCommand,
  encodeData,
} from '../../protocol/ptp/container.ts';
import type { Clock } from '../clock.ts';
import type { PtpPipe } from './ptp-pipe.ts';

/** How a transaction ended: the responder's code and parameters, and the data it sent before. */
export interface PtpResult {
  readonly code: number;
  readonly parameters: readonly number[];
  readonly data: Uint8Array;
}

const commandTimeoutMs = 5000;
const answerTimeoutMs = 30_000;
const peekTimeoutMs = 200;
const quietMs = 400;
const longestDrainMs = 30_000;
const busyLimitMs = 3000;
/** One read at most; the kernel's budget for all devices is 16 MiB by default. */
const readBytes = 1024 * 1024;
/** Answers to transactions of before that may come first. */
const mostStale = 16;

/**
 * One PTP session. Transactions are serialised by the caller. After any error but a response code the position in
 * the stream is unknown: `recover` before anything else.
 */
export class PtpSession {
  readonly #pipe: PtpPipe;
  readonly #clock: Clock;
  #stream: ContainerStream;
  #transactionId = 0;

  constructor(pipe: PtpPipe, clock: Clock) {
    this.#pipe = pipe;
    this.#clock = clock;
    this.#stream = new ContainerStream(pipe.maxPacketBytes);
  }

  /**
   * Makes the responder ready, whatever a dead host or a pulled cable left behind. At every attach and after every
   * fault: what an earlier transfer left in the pipe is cancelled and drained, then a session is opened afresh.
   */
  async recover(): Promise<void> {
    this.#stream = new ContainerStream(this.#pipe.maxPacketBytes);
    const leftover = await this.#peek();
    if (leftover) await this.#cancelAndDrain();
    for (const attempt of ['open', 'after drain', 'after reset'] as const) {
      try {
        await this.#open();
        return;
      } catch (error) {
        if (hasCode(error, 'link.closed') || attempt === 'after reset') throw error;
        if (attempt === 'open') await this.#cancelAndDrain();
        else await this.#pipe.reset();
      }
    }
  }

  /** Ends the session in order. */
  async close(): Promise<void> {
    await this.transact(ptpOperation.closeSession, []);
  }

  /**
   * One transaction. `onData` gets the payload in pieces as they arrive, each valid until it returns; without it the
   * payload is collected up to `maxDataBytes`. Errors: `wire.malformed`, `wire.timeout`, `usb.*`, `link.closed`.
   */
  async transact(
    operation: number,
    parameters: readonly number[],
    options: {
      send?: Uint8Array;
      expectedBytes?: number;
      maxDataBytes?: number;
      onData?: (bytes: Uint8Array) => void;
    } = {},
  ): Promise<PtpResult> {
    const transactionId = this.#nextTransactionId(operation);
    await this.#pipe.write(encodeCommand(operation, transactionId, parameters), commandTimeoutMs);
    if (options.send)
      await this.#pipe.write(encodeData(operation, transactionId, options.send), answerTimeoutMs);

    const collected: Uint8Array[] = [];
    let receivedBytes = 0;
    for (let stale = 0; stale < mostStale;) {
      const chunk = await this.#pipe.read(
        this.#readLength(options.expectedBytes, receivedBytes),
        answerTimeoutMs,
      );
      for (const part of this.#stream.push(chunk)) {
        if (part.kind === 'event') continue;
        if (isOlder(part.header.transactionId, transactionId)) {
          stale++;
          continue;
        }
        if (part.kind === 'data') {
          receivedBytes += part.bytes.length;
          if (options.onData) options.onData(part.bytes);
          else if (receivedBytes <= (options.maxDataBytes ?? readBytes))
            collected.push(Uint8Array.from(part.bytes));
          else
            throw new DockError(
              'wire.malformed',
              `operation 0x${operation.toString(16)}: ${receivedBytes} bytes`,
            );
        }
        if (part.kind !== 'response') continue;
        if (part.header.transactionId !== transactionId && operation !== ptpOperation.closeSession) {
          throw new DockError('wire.malformed', `answer to transaction ${part.header.transactionId}`);
        }
        return { code: part.header.code, parameters: part.parameters, data: Buffer.concat(collected) };
      }
    }
    throw new DockError('wire.malformed', 'only answers to earlier transactions');
  }

  /** So that data, its short end and a zero-length packet fall into as few reads as possible. */
  #readLength(expectedBytes: number | undefined, receivedBytes: number): number {
    const { maxPacketBytes } = this.#pipe;
    const wanted = (expectedBytes ?? readBytes) + containerHeaderBytes - receivedBytes;
    const packets = Math.ceil(Math.min(Math.max(wanted, 1), readBytes) / maxPacketBytes);
    return Math.max(1, packets) * maxPacketBytes;
  }

  async #open(): Promise<void> {
    this.#transactionId = 0;
    const opened = await this.transact(ptpOperation.openSession, [1]);
    if (opened.code === ptpResponse.ok) return;
    if (opened.code !== ptpResponse.sessionAlreadyOpen) throw responseError('OpenSession', opened.code);
    // A host before us died: closing drops its stale handles as well.
    await this.transact(ptpOperation.closeSession, []);
    this.#transactionId = 0;
    const again = await this.transact(ptpOperation.openSession, [1]);
    if (again.code !== ptpResponse.ok) throw responseError('OpenSession', again.code);
  }

  /** Whether bytes of an earlier transfer are waiting. They may be recording bytes: never parse them. */
  async #peek(): Promise<boolean> {
    try {
      return (await this.#pipe.read(this.#pipe.maxPacketBytes, peekTimeoutMs)).length > 0;
    } catch (error) {
      if (hasCode(error, 'wire.timeout')) return false;
      if (hasCode(error, 'usb.stall')) return true;
      throw error;
    }
  }

  async #cancelAndDrain(): Promise<void> {
    await Promise.allSettled([this.#pipe.clearHalt('in'), this.#pipe.clearHalt('out')]);
    await this.#pipe.cancel(this.#transactionId).catch(throwIfGone);
    const busyUntil = this.#clock.monotonic() + busyLimitMs;
    while (this.#clock.monotonic() < busyUntil) {
      const status = await this.#pipe.status().catch(throwIfGone);
      if (status !== ptpResponse.deviceBusy) break;
      await this.#clock.sleep(quietMs / 2);
    }
    const drainUntil = this.#clock.monotonic() + longestDrainMs;
    while (this.#clock.monotonic() < drainUntil) {
      try {
        await this.#pipe.read(readBytes, quietMs);
      } catch (error) {
        throwIfGone(error);
        if (hasCode(error, 'usb.stall')) await this.#pipe.clearHalt('in').catch(throwIfGone);
        else break;
      }
    }
    this.#stream = new ContainerStream(this.#pipe.maxPacketBytes);
  }

  /** 0 opens a session; then 1 upwards, never 0 or 0xFFFFFFFF. */
  #nextTransactionId(operation: number): number {
    if (operation === ptpOperation.openSession) return 0;
    this.#transactionId = this.#transactionId >= 0xffff_fffe ? 1 : this.#transactionId + 1;
    return this.#transactionId;
  }
}

/** A responder's refusal as an error, for operations that must work. */
export function responseError(what: string, code: number): DockError {
  const detail = `${what}: 0x${code.toString(16)}`;
  if (code === ptpResponse.deviceBusy) return new DockError('smp.busy', detail);
  return new DockError('ptp.rejected', detail);
}

function isOlder(transactionId: number, than: number): boolean {
  return transactionId !== 0 && transactionId < than;
}

function throwIfGone(error: unknown): undefined {
  if (hasCode(error, 'link.closed')) throw error;
  return undefined;
}
