import { DockError } from '../errors.ts';
import { unknownLength } from './codes.ts';

export const containerType = { command: 1, data: 2, response: 3, event: 4 } as const;
export const containerHeaderBytes = 12;

/** The largest response or event container: the header and five parameters. */
const longestParameterContainer = 32;

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
 * response glued to the end of the data, a zero-length packet or none between them. The bytes of a data part are a
 * view on the chunk pushed. Errors: `wire.malformed` when the stream position is lost; then nothing more can be read.
 */
export class ContainerStream {
  readonly #maxPacketBytes: number;
  #carry = new Uint8Array(0);
  #open: { readonly header: PtpHeader; received: number } | undefined;
  #emptyReads = 0;

  constructor(maxPacketBytes: number) {
    this.#maxPacketBytes = maxPacketBytes;
  }

  /** Bytes of the container under way that are still to come; undefined between containers or when unknown. */
  get remainingBytes(): number | undefined {
    if (!this.#open || this.#open.header.length === unknownLength) return undefined;
    return this.#open.header.length - containerHeaderBytes - this.#open.received;
  }

  push(chunk: Uint8Array): ContainerPart[] {
    const parts: ContainerPart[] = [];
    // A short packet ends a container of unknown length; so does a zero-length one.
    const isShort = chunk.length === 0 || chunk.length % this.#maxPacketBytes !== 0;
    if (chunk.length === 0 && !(this.#open && this.remainingBytes === undefined)) {
      if (++this.#emptyReads > 8) throw new DockError('wire.malformed', 'nothing but empty packets');
      return parts;
    }
    this.#emptyReads = 0;
    let rest = this.#carry.length > 0 ? Buffer.concat([this.#carry, chunk]) : chunk;
    this.#carry = new Uint8Array(0);
    while (rest.length > 0) {
      if (this.#open) {
        rest = this.#payload(rest, parts);
        continue;
      }
      if (rest.length < containerHeaderBytes) {
        this.#carry = Uint8Array.from(rest);
        break;
      }
      const header = readHeader(rest);
      if (header.type === containerType.data) {
        this.#open = { header, received: 0 };
        rest = rest.subarray(containerHeaderBytes);
        this.#endIfComplete(parts);
        continue;
      }
      if (rest.length < header.length) {
        this.#carry = Uint8Array.from(rest);
        break;
      }
      const kind = header.type === containerType.response ? 'response' : 'event';
      parts.push({ kind, header, parameters: readParameters(rest.subarray(0, header.length)) });
      rest = rest.subarray(header.length);
    }
    if (isShort && this.#open && this.remainingBytes === undefined) this.#end(parts);
    return parts;
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

  #endIfComplete(parts: ContainerPart[]): void {
    if (this.remainingBytes === 0) this.#end(parts);
  }

  #end(parts: ContainerPart[]): void {
    if (!this.#open) return;
    parts.push({ kind: 'data-end', header: this.#open.header, sizeBytes: this.#open.received });
    this.#open = undefined;
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
