import { DockError } from '../errors.ts';

/** What a message asks or answers; bits 2..0 of byte 0. */
export const smpOp = { readRequest: 0, readResponse: 1, writeRequest: 2, writeResponse: 3 } as const;

export const smpHeaderBytes = 8;

/** The data length field has 16 bits. */
export const smpMaxPayloadBytes = 0xffff;

/**
 * One SMP message: the 8-byte header of the specification and its CBOR payload, not yet decoded.
 * `version` is 0 for SMP 1 (legacy errors) and 1 for SMP 2 (group errors); 2 and 3 are reserved.
 */
export interface SmpMessage {
  readonly version: number;
  readonly op: number;
  readonly groupId: number;
  readonly sequence: number;
  readonly commandId: number;
  readonly payload: Uint8Array;
}

/** Errors: `wire.too-large`. */
export function encodeSmpMessage(message: SmpMessage): Uint8Array {
  if (message.payload.length > smpMaxPayloadBytes) {
    throw new DockError('wire.too-large', `payload of ${message.payload.length} bytes`);
  }
  const bytes = new Uint8Array(smpHeaderBytes + message.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, ((message.version & 3) << 3) | (message.op & 7));
  view.setUint8(1, 0);
  view.setUint16(2, message.payload.length);
  view.setUint16(4, message.groupId);
  view.setUint8(6, message.sequence);
  view.setUint8(7, message.commandId);
  bytes.set(message.payload, smpHeaderBytes);
  return bytes;
}

/**
 * Decodes the message at the start of `bytes`. `rest` is what follows it: one frame may carry several
 * messages. Flags and reserved bits are ignored, as servers do. Errors: `wire.malformed`.
 */
export function decodeSmpMessage(bytes: Uint8Array): { message: SmpMessage; rest: Uint8Array } {
  if (bytes.length < smpHeaderBytes) {
    throw new DockError('wire.malformed', `SMP header needs 8 bytes, got ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const first = view.getUint8(0);
  const payloadBytes = view.getUint16(2);
  const end = smpHeaderBytes + payloadBytes;
  if (bytes.length < end) {
    throw new DockError('wire.malformed', `SMP length field says ${payloadBytes}, got ${bytes.length - 8}`);
  }
  const message: SmpMessage = {
    version: (first >>> 3) & 3,
    op: first & 7,
    groupId: view.getUint16(4),
    sequence: view.getUint8(6),
    commandId: view.getUint8(7),
    payload: bytes.subarray(smpHeaderBytes, end),
  };
  return { message, rest: bytes.subarray(end) };
}
