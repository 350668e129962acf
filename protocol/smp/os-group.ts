import { z } from 'zod';
import { smpCommand } from './command.ts';
import { uint } from './fields.ts';

/** Group 0, operating system. Source: SMP specification; byte-level facts from Zephyr 3.4.99 and 4.4.0. */
const groupId = 0;

export const osEcho = smpCommand({
  name: 'echo',
  groupId,
  commandId: 0,
  access: 'write',
  request: z.object({ d: z.string() }),
  response: z.object({ r: z.string() }),
});

/** 19 characters, `YYYY-MM-DDTHH:MM:SS`; a zone would be ignored by Zephyr, so none is sent: it is UTC. */
export const osReadDatetime = smpCommand({
  name: 'datetime get',
  groupId,
  commandId: 4,
  access: 'read',
  request: z.object({}),
  response: z.object({ datetime: z.string().max(64) }),
});

export const osWriteDatetime = smpCommand({
  name: 'datetime set',
  repeat: 'never',
  groupId,
  commandId: 4,
  access: 'write',
  request: z.object({ datetime: z.string() }),
  response: z.object({}),
});

/** The answer arrives before the reset happens, 250 ms later by default. */
export const osReset = smpCommand({
  name: 'reset',
  repeat: 'never',
  groupId,
  commandId: 5,
  access: 'write',
  request: z.object({ force: z.boolean().optional() }),
  response: z.object({}),
});

/** `buf_size` counts length field and CRC: the largest message on a console is 4 bytes less. */
export const osParameters = smpCommand({
  name: 'parameters',
  groupId,
  commandId: 6,
  access: 'read',
  request: z.object({}),
  response: z.object({ buf_size: uint, buf_count: uint }),
});

export const osInfo = smpCommand({
  name: 'info',
  groupId,
  commandId: 7,
  access: 'read',
  request: z.object({ format: z.string().optional() }),
  response: z.object({ output: z.string() }),
});

/** Group error codes of the date-time command. */
export const osError = { invalidFormat: 2, noAnswer: 3, clockNotSet: 4, clockFailed: 5 } as const;

/** Parses `YYYY-MM-DDTHH:MM:SS` with an optional fraction and zone; undefined when it is no such time. */
export function parseDatetime(text: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)?$/.exec(text);
  if (!match) return undefined;
  const [, date, time, fraction = '', zone = 'Z'] = match;
  const at = Date.parse(`${date}T${time}.${fraction.padEnd(3, '0').slice(0, 3)}${zone}`);
  return Number.isNaN(at) ? undefined : at;
}

/** UTC, whole seconds, no zone: the only form that Zephyr and Mynewt read alike. */
export function formatDatetime(at: number): string {
  return new Date(at).toISOString().slice(0, 19);
}
