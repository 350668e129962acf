import type { z } from 'zod';
import { DockError } from '../errors.ts';
import { decodeCborMap, encodeCborMap } from './cbor.ts';
import { smpOp, type SmpMessage } from './message.ts';
import { readFailure, type SmpFailure } from './failure.ts';

/**
 * One command of an SMP group: the only place that states its numbers and its two bodies. The client
 * encodes requests and parses responses with it, the server the other way round.
 */
export interface SmpCommand<Request extends z.ZodObject, Response extends z.ZodObject> {
  readonly name: string;
  readonly groupId: number;
  readonly commandId: number;
  readonly access: 'read' | 'write';
  /** `never`: a lost answer must not be healed by sending again, because the moment of execution matters. */
  readonly repeat: 'safe' | 'never';
  readonly request: Request;
  readonly response: Response;
}

export type AnySmpCommand = SmpCommand<z.ZodObject, z.ZodObject>;
export type RequestOf<C extends AnySmpCommand> = z.input<C['request']>;
export type ResponseOf<C extends AnySmpCommand> = z.output<C['response']>;

export function smpCommand<Request extends z.ZodObject, Response extends z.ZodObject>(
  command: Omit<SmpCommand<Request, Response>, 'repeat'> & { readonly repeat?: 'safe' | 'never' },
): SmpCommand<Request, Response> {
  return { repeat: 'safe', ...command };
}

export const smpVersion2 = 1;

export function encodeRequest<C extends AnySmpCommand>(
  command: C,
  body: RequestOf<C>,
  sequence: number,
): SmpMessage {
  return {
    version: smpVersion2,
    op: command.access === 'read' ? smpOp.readRequest : smpOp.writeRequest,
    groupId: command.groupId,
    sequence,
    commandId: command.commandId,
    payload: encodeCborMap(body),
  };
}

/** Whether `message` may be the answer to a request of `command` with `sequence`; the version is free. */
export function isAnswerTo(message: SmpMessage, command: AnySmpCommand, sequence: number): boolean {
  const expectedOp = command.access === 'read' ? smpOp.readResponse : smpOp.writeResponse;
  return (
    message.op === expectedOp &&
    message.groupId === command.groupId &&
    message.commandId === command.commandId &&
    message.sequence === sequence
  );
}

export type SmpAnswer<C extends AnySmpCommand> =
  { readonly kind: 'ok'; readonly body: ResponseOf<C> } | ({ readonly kind: 'failed' } & SmpFailure);

/** Errors: `wire.malformed` (not CBOR), `smp.bad-response` (a body of another form). */
export function parseAnswer<C extends AnySmpCommand>(command: C, message: SmpMessage): SmpAnswer<C> {
  const map = decodeCborMap(message.payload);
  const failure = readFailure(map);
  if (failure) return { kind: 'failed', ...failure };
  const parsed = command.response.safeParse(map);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const detail = `${command.name}: ${issue?.path.join('.')} ${issue?.message}`;
    throw new DockError('smp.bad-response', detail.slice(0, 200));
  }
  return { kind: 'ok', body: parsed.data as ResponseOf<C> };
}
