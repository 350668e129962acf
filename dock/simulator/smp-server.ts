import { asDockError, hasCode } from '../../protocol/errors.ts';
import { decodeCborMap, encodeCborMap } from '../../protocol/smp/cbor.ts';
import type { AnySmpCommand, SmpCommand } from '../../protocol/smp/command.ts';
import { smpCommonError } from '../../protocol/smp/failure.ts';
import {
  decodeSmpMessage,
  encodeSmpMessage,
  smpHeaderBytes,
  smpOp,
  type SmpMessage,
} from '../../protocol/smp/message.ts';
import type { z } from 'zod';

/** A handler refuses by throwing this: an error of its group. */
export class SmpGroupFailure extends Error {
  readonly groupId: number;
  readonly rc: number;

  constructor(groupId: number, rc: number) {
    super(`group ${groupId} rc ${rc}`);
    this.groupId = groupId;
    this.rc = rc;
  }
}

export interface SmpHandler {
  readonly command: AnySmpCommand;
  readonly handle: (body: never) => Record<string, unknown>;
}

/** Ties a function to the command it answers, with both bodies typed. */
export function smpHandler<Request extends z.ZodObject, Response extends z.ZodObject>(
  command: SmpCommand<Request, Response>,
  handle: (body: z.output<Request>) => z.input<Response>,
): SmpHandler {
  return { command, handle };
}

/**
 * The server side of SMP, as Zephyr behaves: answers in the version of the request, with maps of indefinite
 * length; several messages in one frame are answered one by one until the first error.
 */
export class SmpServer {
  readonly #handlers = new Map<string, SmpHandler>();
  readonly #maxMessageBytes: number;

  constructor(handlers: readonly SmpHandler[], maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
    for (const handler of handlers) {
      const { groupId, commandId, access } = handler.command;
      this.#handlers.set(`${groupId}/${commandId}/${access}`, handler);
    }
  }

  /** The messages to send back for one frame; none when it is no SMP at all. */
  answer(frame: Uint8Array): Uint8Array[] {
    const answers: Uint8Array[] = [];
    if (frame.length > this.#maxMessageBytes) return answers;
    for (let rest = frame; rest.length >= smpHeaderBytes;) {
      let request: SmpMessage;
      try {
        const decoded = decodeSmpMessage(rest);
        request = decoded.message;
        rest = decoded.rest;
      } catch {
        const { message } = decodeSmpMessage(Uint8Array.of(rest[0] ?? 0, 0, 0, 0, ...rest.subarray(4, 8)));
        answers.push(this.#encode(message, { rc: smpCommonError.corrupt }));
        return answers;
      }
      const body = this.#dispatch(request);
      answers.push(this.#encode(request, body));
      if ('rc' in body || 'err' in body) return answers;
    }
    return answers;
  }

  #dispatch(request: SmpMessage): Record<string, unknown> {
    if (request.version > 1) return { rc: smpCommonError.versionTooNew };
    const isRead = request.op === smpOp.readRequest;
    if (!isRead && request.op !== smpOp.writeRequest) return { rc: smpCommonError.notSupported };
    const key = `${request.groupId}/${request.commandId}/${isRead ? 'read' : 'write'}`;
    const handler = this.#handlers.get(key);
    if (!handler) return { rc: smpCommonError.notSupported };
    try {
      const parsed = handler.command.request.safeParse(decodeCborMap(request.payload));
      if (!parsed.success) return { rc: smpCommonError.invalidValue };
      return handler.handle(parsed.data as never);
    } catch (error) {
      if (error instanceof SmpGroupFailure) {
        if (request.version === 0) return { rc: smpCommonError.unknown };
        return { err: { group: error.groupId, rc: error.rc } };
      }
      if (hasCode(error, 'wire.malformed')) return { rc: smpCommonError.invalidValue };
      return { rc: smpCommonError.unknown, rsn: asDockError(error).code };
    }
  }

  #encode(request: SmpMessage, body: Record<string, unknown>): Uint8Array {
    const op = request.op === smpOp.readRequest ? smpOp.readResponse : smpOp.writeResponse;
    const answer = { ...request, version: Math.min(request.version, 1), op };
    const bytes = encodeSmpMessage({ ...answer, payload: encodeIndefiniteMap(body) });
    if (bytes.length <= this.#maxMessageBytes) return bytes;
    const tooLong = encodeIndefiniteMap({ rc: smpCommonError.responseTooLong });
    return encodeSmpMessage({ ...answer, payload: tooLong });
  }
}

/** Zephyr's form: BF, entries, FF. Our maps have fewer than 24 entries, so the definite head is one byte. */
function encodeIndefiniteMap(body: Record<string, unknown>): Uint8Array {
  const definite = encodeCborMap(body);
  const bytes = new Uint8Array(definite.length + 1);
  bytes.set(definite);
  bytes[0] = 0xbf;
  bytes[definite.length] = 0xff;
  return bytes;
}
