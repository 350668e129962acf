import { z } from 'zod';
import { smpCommand } from './command.ts';
import { byteString, sha256Bytes, timestampMs, uint, uint64 } from './fields.ts';

/** Group 64, the camera group. The public specification with its vectors is camera-group.md beside this file. */
export const cameraGroupId = 64;
const groupId = cameraGroupId;

export const cameraError = {
  unknown: 1,
  clockNotSet: 2,
  noSuchRecording: 3,
  digestMismatch: 4,
  removalRefused: 5,
  modeNotSupported: 6,
  noKey: 7,
  digestNotStarted: 8,
  storageFailed: 9,
  /** The list changed since the page before: start again at index 0. */
  listChanged: 10,
} as const;

const shortText = z.string().max(128);

export const cameraIdentity = smpCommand({
  name: 'camera identity',
  groupId,
  commandId: 0,
  access: 'read',
  request: z.object({}),
  response: z.object({
    serial: shortText,
    model: shortText,
    fw: shortText,
    hw: shortText,
    /** Ids of the optional commands that this camera has; absent means all. */
    can: z.array(uint).max(64).optional(),
    key: byteString.refine((bytes) => bytes.length === 32, 'an Ed25519 key has 32 bytes').optional(),
  }),
});

export const cameraHealth = smpCommand({
  name: 'camera health',
  groupId,
  commandId: 1,
  access: 'read',
  request: z.object({}),
  response: z.object({
    bat: z.int().min(0).max(100).optional(),
    mv: uint.optional(),
    cyc: uint.optional(),
    chg: z.boolean().optional(),
    /** Tenths of a degree Celsius. */
    temp: z.int().min(-1000).max(2000).optional(),
    total: uint.optional(),
    free: uint.optional(),
    up: uint.optional(),
    cnt: z
      .record(z.string().max(32), uint)
      .refine((counters) => Object.keys(counters).length <= 32, 'at most 32 error counters')
      .optional(),
  }),
});

export const cameraReadClock = smpCommand({
  name: 'camera clock get',
  groupId,
  commandId: 2,
  access: 'read',
  request: z.object({}),
  response: z.object({ ms: timestampMs, res: z.int().min(1).max(60_000) }),
});

export const cameraSetClock = smpCommand({
  name: 'camera clock set',
  groupId,
  commandId: 2,
  access: 'write',
  repeat: 'never',
  request: z.object({ ms: timestampMs }),
  response: z.object({}),
});

/** `kind` on the wire. */
export const recordingKinds = ['video', 'audio', 'photo', 'other'] as const;

export const cameraListEntry = z.object({
  id: z.string().min(1).max(64),
  path: z.string().min(1),
  size: uint64,
  /** A time outside what can be shown is the same as none. */
  start: timestampMs.optional().catch(undefined),
  end: timestampMs.optional().catch(undefined),
  kind: uint,
  prot: z.boolean().optional(),
  sha: sha256Bytes.optional(),
});

/**
 * One page of the list: as many entries from index `from` as fit the message. `gen` changes whenever the
 * list does. A page without entries at `from` < `total` is an error of the camera. Entries are parsed one by one with
 * `cameraListEntry`, so that a damaged one does not hide the others.
 */
export const cameraListRecordings = smpCommand({
  name: 'camera recordings',
  groupId,
  commandId: 3,
  access: 'read',
  request: z.object({ from: uint, gen: uint.optional() }),
  response: z.object({ total: uint64, gen: uint, list: z.array(z.unknown()) }),
});

export const cameraStartDigest = smpCommand({
  name: 'camera digest start',
  groupId,
  commandId: 4,
  access: 'write',
  request: z.object({ id: z.string() }),
  response: z.object({}),
});

/** `done` counts bytes; `sha` is present when the digest is complete. */
export const cameraPollDigest = smpCommand({
  name: 'camera digest poll',
  groupId,
  commandId: 4,
  access: 'read',
  request: z.object({ id: z.string() }),
  response: z.object({ done: uint64, sha: sha256Bytes.optional() }),
});

export const cameraRemove = smpCommand({
  name: 'camera remove',
  groupId,
  commandId: 5,
  access: 'write',
  request: z.object({ id: z.string(), sha: sha256Bytes }),
  response: z.object({}),
});

export const transferModes = ['control', 'mtp', 'mass-storage'] as const;

export const cameraReadMode = smpCommand({
  name: 'camera transfer mode get',
  groupId,
  commandId: 6,
  access: 'read',
  request: z.object({}),
  response: z.object({ mode: uint, modes: z.array(uint).max(16) }),
});

/** The answer arrives before the camera re-enumerates. */
export const cameraSetMode = smpCommand({
  name: 'camera transfer mode set',
  groupId,
  commandId: 6,
  access: 'write',
  request: z.object({ mode: uint }),
  response: z.object({}),
});

export const cameraReadAssignment = smpCommand({
  name: 'camera assignment get',
  groupId,
  commandId: 7,
  access: 'read',
  request: z.object({}),
  response: z.object({ post: shortText.optional(), badge: shortText.optional() }),
});

export const cameraSetAssignment = smpCommand({
  name: 'camera assignment set',
  groupId,
  commandId: 7,
  access: 'write',
  request: z.object({ post: shortText, badge: shortText }),
  response: z.object({}),
});

export const cameraChallenge = smpCommand({
  name: 'camera challenge',
  groupId,
  commandId: 8,
  access: 'read',
  request: z.object({ nonce: byteString }),
  response: z.object({ sig: byteString.refine((bytes) => bytes.length === 64, 'a signature has 64 bytes') }),
});

/** What a camera signs: a fixed prefix, so that the signature means nothing elsewhere. */
export function challengeMessage(serialNumber: string, nonce: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`dock-camera-challenge-v1\0${serialNumber}\0`, 'utf8'), nonce]);
}
