import { DockError, hasCode } from '../../protocol/errors.ts';
import { ptpOperation } from '../../protocol/ptp/codes.ts';
import {
  containerHeaderBytes,
  ContainerStream,
  encodeCommand,
  encodeData,
  type ContainerPart,
} from '../../protocol/ptp/container.ts';
import type { PtpPipe } from './ptp-pipe.ts';

/** How a transaction ended: the responder's code and parameters, and the data it sent before. */
export interface PtpResult {
  readonly code: number;
  readonly parameters: readonly number[];
  readonly data: Uint8Array;
}

export interface PtpRequest {
  readonly operation: number;
  readonly parameters: readonly number[];
  readonly transactionId: number;
  readonly send?: Uint8Array;
  /** Payload that will come, as far as it is known: for reads of the right length. */
  readonly expectedBytes?: number;
  /** The true size of the payload even where its header cannot hold it. */
  readonly exactBytes?: number;
  /** Without `onData` the payload is collected; more than this is malformed. */
  readonly maxDataBytes?: number;
  /** Gets the payload piece by piece; the next one is read when it resolves. */
  readonly onData?: (bytes: Uint8Array) => void | Promise<void>;
  readonly commandMs: number;
  readonly answerMs: number;
}

/** Answers to transactions of before that may come first. */
const mostStale = 16;
const usualDataBytes = 16 * 1024;
const mostDataBytes = 4 * 1024 * 1024;

/** Transactions on a pipe, one at a time. After an error the position in the stream is unknown until `restart`. */
export class PtpExchange {
  readonly #pipe: PtpPipe;
  #stream: ContainerStream;
  #splitsData = false;
  /** Where the last transaction broke; what to clear and whether to cancel depends on it. */
  brokenOff: 'in' | 'out' | undefined;
  /** Codes and transaction ids in headers may be junk. */
  ignoresHeader = false;

  constructor(pipe: PtpPipe) {
    this.#pipe = pipe;
    this.#stream = new ContainerStream(pipe.maxPacketBytes);
  }

  /** What came so far belongs to nothing any more. */
  restart(): void {
    this.#stream = new ContainerStream(this.#pipe.maxPacketBytes);
    this.brokenOff = undefined;
  }

  /** Errors: `wire.malformed`, `wire.timeout`, `usb.*`, `link.closed`, and what `onData` throws. */
  async run(request: PtpRequest): Promise<PtpResult> {
    this.#stream.expectData(request.exactBytes);
    this.brokenOff = 'out';
    await this.#send(request);
    this.brokenOff = 'in';
    const result = await this.#receive(request);
    this.brokenOff = undefined;
    return result;
  }

  async #send({
    operation,
    transactionId,
    parameters,
    send,
    commandMs,
    answerMs,
  }: PtpRequest): Promise<void> {
    await this.#pipe.write(encodeCommand(operation, transactionId, parameters), commandMs);
    if (!send) return;
    const container = encodeData(operation, transactionId, send);
    if (!this.#splitsData) {
      await this.#pipe.write(container, answerMs);
      return;
    }
    await this.#pipe.write(container.subarray(0, containerHeaderBytes), answerMs);
    await this.#pipe.write(container.subarray(containerHeaderBytes), answerMs);
  }

  async #receive(request: PtpRequest): Promise<PtpResult> {
    const collected: Uint8Array[] = [];
    let receivedBytes = 0;
    let isDataOver = false;
    for (let stale = 0; stale < mostStale;) {
      const expected = isDataOver ? 0 : (request.expectedBytes ?? usualDataBytes) - receivedBytes;
      const { bytes, endsTransfer } = await this.#pipe.read(this.#readLength(expected), request.answerMs);
      for (const part of this.#stream.push(bytes, endsTransfer)) {
        if (part.kind === 'event') continue;
        if (this.#isStale(part, request)) {
          if (part.kind === 'response') stale++;
          continue;
        }
        if (part.kind === 'response') {
          return { code: part.header.code, parameters: part.parameters, data: Buffer.concat(collected) };
        }
        if (part.kind === 'data-end') {
          isDataOver = true;
          continue;
        }
        receivedBytes += part.bytes.length;
        if (request.onData) await request.onData(part.bytes);
        else if (receivedBytes <= (request.maxDataBytes ?? mostDataBytes)) collected.push(part.bytes);
        else throw new DockError('wire.malformed', `${describe(request)}: ${receivedBytes} bytes`);
      }
      this.#splitsData ||= this.#stream.hasSplitHeader;
    }
    throw new DockError('wire.malformed', `${describe(request)}: only answers to earlier transactions`);
  }

  /**
   * One packet more than is due: what follows aligned data, be it an empty packet, a stray byte or the response, then
   * comes in the same read.
   */
  #readLength(expectedBytes: number): number {
    const { maxPacketBytes, longestReadBytes } = this.#pipe;
    const due = this.#stream.remainingBytes ?? Math.max(expectedBytes, 0) + containerHeaderBytes;
    return Math.min(Math.ceil((due + 1) / maxPacketBytes) * maxPacketBytes, longestReadBytes);
  }

  /** A late answer to an earlier transaction is passed over; one to a later transaction means the position is lost. */
  #isStale({ kind, header }: ContainerPart, { operation, transactionId }: PtpRequest): boolean {
    // Leica answers CloseSession with transaction 0 (libmtp).
    if (this.ignoresHeader || operation === ptpOperation.closeSession) return false;
    if (header.transactionId < transactionId) return true;
    const isOurs =
      header.transactionId === transactionId && (kind === 'response' || header.code === operation);
    if (isOurs) return false;
    throw new DockError(
      'wire.malformed',
      `${kind} 0x${header.code.toString(16)} of transaction ${header.transactionId} in ${transactionId}`,
    );
  }
}

function describe({ operation }: PtpRequest): string {
  return `operation 0x${operation.toString(16)}`;
}

/** Whether a transaction may be tried again after this error, once the session has recovered. */
export function isWireTrouble(error: unknown): boolean {
  return hasCode(error, 'wire.timeout', 'wire.malformed', 'usb.stall', 'usb.transfer-failed');
}
