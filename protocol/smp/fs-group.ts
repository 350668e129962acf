import { z } from 'zod';
import { smpCommand } from './command.ts';
import { byteString, uint64 } from './fields.ts';

/**
 * Group 8, file system: download, status and hash of a file whose name is known. There is no listing and no
 * delete in any release; the camera group has both.
 */
const groupId = 8;

/** The server picks the chunk: its buffer size less 50. `len` comes with the chunk at offset 0 only. */
export const fsDownload = smpCommand({
  name: 'file download',
  groupId,
  commandId: 0,
  access: 'read',
  request: z.object({ off: uint64, name: z.string() }),
  response: z.object({ off: uint64, data: byteString, len: uint64.optional() }),
});

export const fsStatus = smpCommand({
  name: 'file status',
  groupId,
  commandId: 1,
  access: 'read',
  request: z.object({ name: z.string() }),
  response: z.object({ len: uint64 }),
});

/** Runs synchronously on the camera: only for small files; the camera group has an asynchronous digest. */
export const fsHash = smpCommand({
  name: 'file hash',
  groupId,
  commandId: 2,
  access: 'read',
  request: z.object({
    name: z.string(),
    type: z.string().optional(),
    off: uint64.optional(),
    len: uint64.optional(),
  }),
  response: z.object({
    type: z.string(),
    off: uint64.optional(),
    len: uint64,
    output: z.union([uint64, byteString]),
  }),
});

export const fsHashTypes = smpCommand({
  name: 'file hash types',
  groupId,
  commandId: 3,
  access: 'read',
  request: z.object({}),
  response: z.object({ types: z.record(z.string(), z.object({ format: uint64, size: uint64 })) }),
});

export const fsClose = smpCommand({
  name: 'file close',
  groupId,
  commandId: 4,
  access: 'write',
  request: z.object({}),
  response: z.object({}),
});

export const fsError = {
  unknown: 1,
  invalidName: 2,
  notFound: 3,
  isDirectory: 4,
  openFailed: 5,
  seekFailed: 6,
  readFailed: 7,
  offsetNotValid: 11,
  offsetPastEnd: 12,
  hashTypeNotFound: 13,
} as const;

/** Bytes of a download response that are not file bytes, in Zephyr's build for files up to 4 GB. */
export const fsDownloadOverheadBytes = 50;
