import { z } from 'zod';
import { smpCommand } from './command.ts';
import { uint64 } from './fields.ts';

/** Group 2, statistics: unsigned counters by name. */
const groupId = 2;

export const statRead = smpCommand({
  name: 'statistics',
  groupId,
  commandId: 0,
  access: 'read',
  request: z.object({ name: z.string() }),
  response: z.object({ name: z.string(), fields: z.record(z.string(), uint64) }),
});

export const statList = smpCommand({
  name: 'statistics list',
  groupId,
  commandId: 1,
  access: 'read',
  request: z.object({}),
  response: z.object({ stat_list: z.array(z.string()) }),
});

export const statError = { invalidGroup: 2, invalidName: 3, invalidSize: 4, walkAborted: 5 } as const;
