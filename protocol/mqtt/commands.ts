import { z } from 'zod';
import { maxAssignmentChars } from '../norm/assignment.ts';
import { retireCauses } from '../norm/retire-causes.ts';
import { head } from './head.ts';

/**
 * What central monitoring may ask of a station: a request to `cmd/{name}`, never retained, is always answered on
 * `rsp/{name}`, once for each id. A request with an id that was already answered gets the same answer again and does
 * nothing. Who may ask is decided by the access list of the broker and by `commands.enabled` of the station.
 */
const bay = z.int().min(1).max(999);
const serialNumber = z.string().min(1).max(128);
const note = z.string().max(500);

interface Command {
  readonly summary: string;
  readonly args: z.ZodObject;
  /** Cannot be taken back by another command: not done by a station that cannot tell how old the request is. */
  readonly isLasting: boolean;
}

export const commands = {
  identify: {
    summary: 'Let a bay, or the whole station, show itself to whoever stands in front of it.',
    isLasting: false,
    args: z.object({ bay: bay.optional(), forSeconds: z.int().min(1).max(600).default(30) }),
  },
  pull: {
    summary: 'Begin a docking session now, in one bay or for one camera, or in all bays.',
    isLasting: false,
    args: z.object({ bay: bay.optional(), serialNumber: serialNumber.optional() }),
  },
  pause: {
    summary: 'Begin nothing new in a bay, or in all; what is under way stops where it can be resumed.',
    isLasting: false,
    args: z.object({ bay: bay.optional(), forSeconds: z.int().min(1).max(86_400).default(3600) }),
  },
  resume: {
    summary: 'End a pause.',
    isLasting: false,
    args: z.object({ bay: bay.optional() }),
  },
  diagnostics: {
    summary: 'Tell the state of station, bays and line faults in one answer.',
    isLasting: false,
    args: z.object({}),
  },
  replay: {
    summary: 'Send kept events again from a sequence number on, in order, marked historical.',
    isLasting: false,
    args: z.object({
      fromSeq: z.int().positive(),
      limit: z.int().min(1).max(1_000_000).optional().describe('at most so many; all without it'),
    }),
  },
  acknowledge: {
    summary: 'Confirm that everything up to a sequence number is safe at the consumer.',
    isLasting: false,
    args: z.object({ uptoSeq: z.int().nonnegative() }),
  },
  'install-assignment': {
    summary: 'Install a signed post assignment, which states the headcount.',
    isLasting: true,
    args: z.object({ assignment: z.string().min(1).max(maxAssignmentChars).describe('JWS in compact form') }),
  },
  'reload-configuration': {
    summary: 'Read the configuration file again; a wrong one is refused and nothing changes.',
    isLasting: true,
    args: z.object({}),
  },
  enrol: {
    summary: 'Enrol a camera; only where the station is configured for it.',
    isLasting: true,
    args: z.object({ serialNumber, reason: note.default('enrolled over MQTT') }),
  },
  retire: {
    summary: 'Retire a camera; only where the station is configured for it.',
    isLasting: true,
    args: z.object({
      serialNumber,
      cause: z.enum(retireCauses),
      note: note.default(''),
    }),
  },
} as const satisfies Record<string, Command>;

export type CommandName = keyof typeof commands;
export type CommandArgs<N extends CommandName> = z.output<(typeof commands)[N]['args']>;

export function isCommandName(text: string): text is CommandName {
  return Object.hasOwn(commands, text);
}

/** A request as it is sent to `cmd/{name}`. */
export const commandRequest = z.object({
  v: z.literal(1),
  id: z
    .string()
    .regex(/^[A-Za-z0-9_-]{8,64}$/)
    .describe('chosen by the sender, best a UUID; the answer repeats it'),
  ts: z.iso.datetime().describe('RFC 3339, when it was sent'),
  expiresSeconds: z.int().min(1).max(3600).default(30).describe('after ts it is refused as expired'),
  by: z.string().min(1).max(128).describe('who asks, for the record'),
  args: z.record(z.string(), z.unknown()).default({}),
});
export type CommandRequest = z.output<typeof commandRequest>;

/** An answer as it is published on `rsp/{name}`. */
export const commandResponse = z.object({
  ...head,
  id: z.string().describe('of the request; empty for one that was not readable'),
  command: z.string(),
  status: z.enum(['ok', 'error']),
  error: z.object({ code: z.string(), message: z.string(), nextStep: z.string() }).optional(),
  data: z.record(z.string(), z.unknown()).optional(),
});
export type CommandResponse = z.output<typeof commandResponse>;
