import { containerHeaderBytes, containerType } from '../../protocol/ptp/container.ts';
import { ptpOperation, unknownLength } from '../../protocol/ptp/codes.ts';
import type { PtpChunk, PtpPipe } from '../camera/ptp-pipe.ts';
import type { FrameLog } from './frame-log.ts';

/** Enough for any command, response and event, and for the start of a recording. */
const contentBytes = containerHeaderBytes + 32;
const datasetBytes = 1024;

const { getObject, getPartialObject, getPartialObject64 } = ptpOperation;
const datasetOperations = new Set<number>(
  Object.values(ptpOperation).filter(
    (code) => ![getObject, getPartialObject, getPartialObject64].some((content) => content === code),
  ),
);

/** The same pipe, with its transfers kept in a frame log: datasets, and of recordings the first bytes alone. */
export function recordedPtpPipe(pipe: PtpPipe, log: FrameLog): PtpPipe {
  const incoming = new TransferCut();
  const outgoing = new TransferCut();
  return {
    name: pipe.name,
    closed: pipe.closed,
    maxPacketBytes: pipe.maxPacketBytes,
    get longestReadBytes() {
      return pipe.longestReadBytes;
    },
    vendorId: pipe.vendorId,
    productId: pipe.productId,
    write: (bytes, timeoutMs) => {
      // Whatever a failed read has lost, here a new transaction begins.
      if (isCommand(bytes)) incoming.restart();
      log.add('ptp', 'out', bytes.subarray(0, outgoing.keep({ bytes, endsTransfer: false })), bytes.length);
      return pipe.write(bytes, timeoutMs);
    },
    read: async (maxBytes, timeoutMs) => {
      const chunk = await pipe.read(maxBytes, timeoutMs);
      log.add('ptp', 'in', chunk.bytes.subarray(0, incoming.keep(chunk)), chunk.bytes.length);
      return chunk;
    },
    clearHalt: (direction) => pipe.clearHalt(direction),
    cancel: (transactionId) => pipe.cancel(transactionId),
    status: () => pipe.status(),
    classReset: () => pipe.classReset(),
    abandon: () => pipe.abandon(),
    release: () => pipe.release(),
    claim: () => pipe.claim(),
    reset: () => pipe.reset(),
    [Symbol.asyncDispose]: () => pipe[Symbol.asyncDispose](),
  };
}

/** Follows one direction far enough to tell the start of a container from the middle of a recording. */
class TransferCut {
  #remainingBytes = 0;
  #mayKeepBytes = 0;

  /** How many bytes at the start of a chunk may be kept. */
  keep({ bytes, endsTransfer }: PtpChunk): number {
    if (this.#remainingBytes <= 0) this.#start(bytes);
    const kept = Math.min(bytes.length, this.#mayKeepBytes);
    this.#mayKeepBytes -= kept;
    this.#remainingBytes = endsTransfer ? 0 : this.#remainingBytes - bytes.length;
    return kept;
  }

  restart(): void {
    this.#remainingBytes = 0;
  }

  #start(bytes: Uint8Array): void {
    this.#mayKeepBytes = contentBytes;
    this.#remainingBytes = 0;
    if (bytes.length < containerHeaderBytes) return;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const length = view.getUint32(0, true);
    if (view.getUint16(4, true) !== containerType.data) return;
    this.#remainingBytes = length === unknownLength ? Infinity : length;
    if (datasetOperations.has(view.getUint16(6, true))) this.#mayKeepBytes = datasetBytes;
  }
}

function isCommand(bytes: Uint8Array): boolean {
  return bytes.length >= containerHeaderBytes && bytes[4] === containerType.command && bytes[5] === 0;
}
