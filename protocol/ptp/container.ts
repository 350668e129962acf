import { DockError } from '../errors.ts';
import { unknownLength } from './codes.ts';

export const containerType = { command: 1, data: 2, response: 3, event: 4 } as const;
export const containerHeaderBytes = 12;

/** The largest response or event container: the header and five parameters. */
const longestParameterContainer = 32;
const mostEmptyReads = 8;

export interface PtpHeader {
  /** Of the whole container; `unknownLength` when it ends with the first short packet. */
  readonly length: number;
  readonly type: number;
  readonly code: number;
  readonly transactionId: number;
}

/** A command container: up to five parameters of 32 bits. */
export function encodeCommand(
  code: number,
  transactionId: number,
  parameters: readonly number[],
): Uint8Array {
  if (parameters.length > 5) throw new DockError('internal.bug', `${parameters.length} PTP parameters`);
  const bytes = new Uint8Array(containerHeaderBytes + 4 * parameters.length);
  const view = writeHeader(bytes, { type: containerType.command, code, transactionId });
  for (const [index, parameter] of parameters.entries()) {
    view.setUint32(containerHeaderBytes + 4 * index, parameter, true);
  }
  return bytes;
}

/** A data container for the few values that are sent to a camera. */
export function encodeData(code: number, transactionId: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(containerHeaderBytes + payload.length);
  writeHeader(bytes, { type: containerType.data, code, transactionId });
  bytes.set(payload, containerHeaderBytes);
  return bytes;
}

function writeHeader(
  bytes: Uint8Array,
  header: { type: number; code: number; transactionId: number },
): DataView {
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, header.type, true);
  view.setUint16(6, header.code, true);
  view.setUint32(8, header.transactionId, true);
  return view;
}

export type ContainerPart =
  | { readonly kind: 'data'; readonly header: PtpHeader; readonly bytes: Uint8Array }
  | { readonly kind: 'data-end'; readonly header: PtpHeader; readonly sizeBytes: number }
  | { readonly kind: 'response'; readonly header: PtpHeader; readonly parameters: readonly number[] }
  | { readonly kind: 'event'; readonly header: PtpHeader; readonly parameters: readonly number[] };

/**
 * Takes what bulk reads return, in whatever pieces, as one stream: a header may come alone in a short packet, a
 * response glued to the end of the data, a zero-length packet, one stray byte or nothing between them. The bytes of a
 * data part are a view on the chunk pushed. Errors: `wire.malformed` when the stream position is lost; then nothing
 * more can be read.
 */
export class ContainerStream {
  readonly #maxPacketBytes: number;
  #carry = new Uint8Array(0);
  #open:
    { readonly header: PtpHeader; readonly payloadBytes: number | undefined; received: number } | undefined;
  #emptyReads = 0;
  #expectedBytes: number | undefined;
  /** The data container that just ended filled its last packet: an empty packet or a single byte may follow. */
  #endedAligned = false;
  /** A data header came alone: such responders want data sent to them in the same way (libmtp, gphoto2). */
  hasSplitHeader = false;

  constructor(maxPacketBytes: number) {
    this.#maxPacketBytes = maxPacketBytes;
  }

  /** Bytes of the data container under way that are still to come; undefined between containers or when unknown. */
  get remainingBytes(): number | undefined {
    return this.#open?.payloadBytes === undefined ? undefined : this.#open.payloadBytes - this.#open.received;
  }

  /**
   * The true length of the next payload, where its header cannot hold it: umtprd before 1.9 sends it modulo 2^32, all
   * others as unknown.
   */
  expectData(payloadBytes: number | undefined): void {
    this.#expectedBytes = payloadBytes;
  }

  /** `endsTransfer`: a short or empty packet ended the read, as far as the reader knows better than its length tells. */
  push(
    chunk: Uint8Array,
    endsTransfer = chunk.length === 0 || chunk.length % this.#maxPacketBytes !== 0,
  ): ContainerPart[] {
    const parts: ContainerPart[] = [];
    const isBetween = !this.#open && this.#carry.length === 0;
    // Some send a short packet of zeros where nothing is due (libmtp: Samsung YP-U3).
    const isNothing = chunk.length < containerHeaderBytes && chunk.every((byte) => byte === 0);
    if ((isNothing && isBetween) || (chunk.length === 0 && !this.#isEndless)) {
      if (++this.#emptyReads > mostEmptyReads)
        throw new DockError('wire.malformed', 'nothing but empty packets');
      return parts;
    }
    this.#emptyReads = 0;
    let rest = this.#carry.length > 0 ? Buffer.concat([this.#carry, chunk]) : chunk;
    this.#carry = new Uint8Array(0);
    while (rest.length > 0) {
      const next = this.#open ? this.#payload(rest, parts) : this.#header(rest, parts);
      if (!next) break;
      rest = next;
    }
    if (
      endsTransfer &&
      this.#isEndless &&
      this.#open &&
      !(this.#open.received === 0 && this.hasSplitHeader)
    ) {
      this.#end(parts);
    }
    return parts;
  }

  /** The rest after one header or short container; undefined when more bytes are needed for it. */
  #header(bytes: Uint8Array, parts: ContainerPart[]): Uint8Array | undefined {
    // libmtp's NO_ZERO_READS devices: one byte more instead of an empty packet.
    if (this.#endedAligned && bytes.length === 1) return undefined;
    if (bytes.length < containerHeaderBytes) {
      this.#carry = Uint8Array.from(bytes);
      return undefined;
    }
    const header = readHeader(bytes);
    if (header.type === containerType.data) {
      this.#endedAligned = false;
      this.#open = { header, payloadBytes: this.#payloadBytes(header), received: 0 };
      if (bytes.length === containerHeaderBytes && header.length > containerHeaderBytes)
        this.hasSplitHeader = true;
      this.#endIfComplete(parts);
      return bytes.subarray(containerHeaderBytes);
    }
    if (bytes.length < header.length) {
      this.#carry = Uint8Array.from(bytes);
      return undefined;
    }
    this.#endedAligned = false;
    const kind = header.type === containerType.response ? 'response' : 'event';
    parts.push({ kind, header, parameters: readParameters(bytes.subarray(0, header.length)) });
    return bytes.subarray(header.length);
  }

  #payload(bytes: Uint8Array, parts: ContainerPart[]): Uint8Array {
    const open = this.#open;
    if (!open) return bytes;
    const take = Math.min(bytes.length, this.remainingBytes ?? bytes.length);
    open.received += take;
    parts.push({ kind: 'data', header: open.header, bytes: bytes.subarray(0, take) });
    this.#endIfComplete(parts);
    return bytes.subarray(take);
  }

  get #isEndless(): boolean {
    return this.#open !== undefined && this.#open.header.length === unknownLength;
  }

  #payloadBytes({ length }: PtpHeader): number | undefined {
    const expected = this.#expectedBytes;
    if (length === unknownLength) return expected;
    const isWrapped =
      expected !== undefined &&
      expected + containerHeaderBytes >= 2 ** 32 &&
      (expected + containerHeaderBytes) % 2 ** 32 === length;
    return isWrapped ? expected : length - containerHeaderBytes;
  }

  #endIfComplete(parts: ContainerPart[]): void {
    if (this.remainingBytes === 0) this.#end(parts);
  }

  #end(parts: ContainerPart[]): void {
    if (!this.#open) return;
    const { header, received } = this.#open;
    parts.push({ kind: 'data-end', header, sizeBytes: received });
    this.#open = undefined;
    this.#endedAligned = (containerHeaderBytes + received) % this.#maxPacketBytes === 0;
  }
}

function readHeader(bytes: Uint8Array): PtpHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const header = {
    length: view.getUint32(0, true),
    type: view.getUint16(4, true),
    code: view.getUint16(6, true),
    transactionId: view.getUint32(8, true),
  };
  const isData = header.type === containerType.data;
  const isAnswer = header.type === containerType.response || header.type === containerType.event;
  const isSane = isData || (isAnswer && header.length <= longestParameterContainer);
  if (!isSane || header.length < containerHeaderBytes) {
    throw new DockError('wire.malformed', `PTP container of type ${header.type} and ${header.length} bytes`);
  }
  return header;
}

function readParameters(container: Uint8Array): number[] {
  const view = new DataView(container.buffer, container.byteOffset, container.length);
  const count = Math.floor((container.length - containerHeaderBytes) / 4);
  return Array.from({ length: count }, (_, index) => view.getUint32(containerHeaderBytes + 4 * index, true));
}
