import { z } from 'zod';
import { smpCommand } from './command.ts';
import { uint } from './fields.ts';

/** Group 10, enumeration: which groups a server has. "Not supported" means an old server, not a poor one. */
const groupId = 10;

export const enumCount = smpCommand({
  name: 'group count',
  groupId,
  commandId: 0,
  access: 'read',
  request: z.object({}),
  response: z.object({ count: uint }),
});

export const enumList = smpCommand({
  name: 'group list',
  groupId,
  commandId: 1,
  access: 'read',
  request: z.object({}),
  response: z.object({ groups: z.array(uint) }),
});

export const enumSingle = smpCommand({
  name: 'group by index',
  groupId,
  commandId: 2,
  access: 'read',
  request: z.object({ index: uint }),
  response: z.object({ group: uint, end: z.boolean().optional() }),
});

export const enumDetails = smpCommand({
  name: 'group details',
  groupId,
  commandId: 3,
  access: 'read',
  request: z.object({}),
  response: z.object({
    groups: z.array(z.object({ group: uint, name: z.string().optional(), handlers: uint.optional() })),
  }),
});

export const enumError = { tooManyEntries: 2, insufficientHeap: 3, indexTooLarge: 4 } as const;
