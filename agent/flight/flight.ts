import { z } from 'zod';
import * as camera from '../../protocol/smp/camera-group.ts';
import * as enumeration from '../../protocol/smp/enumeration-group.ts';
import * as fs from '../../protocol/smp/fs-group.ts';
import * as os from '../../protocol/smp/os-group.ts';
import * as stat from '../../protocol/smp/stat-group.ts';
import { ConsoleDeframer } from '../../protocol/smp/console-frame.ts';
import { decodeSmpMessage, smpOp, type SmpMessage } from '../../protocol/smp/message.ts';
import { HidReassembler } from '../../protocol/hid/report-frame.ts';
import { asDockError } from '../../protocol/errors.ts';
import type { RecordedFrame } from '../../dock/flight/frame-log.ts';

/** One message of a bay before a fault. */
export const flightFrame = z.object({
  beforeMs: z.number().describe('before the fault'),
  direction: z.enum(['in', 'out']).describe('from the camera, or to it'),
  kind: z.enum(['smp', 'ptp', 'text', 'damaged']),
  about: z.string(),
  hex: z.string(),
  sizeBytes: z.int().describe('of the whole message; more than in hex when it was cut'),
});
export type FlightFrame = z.output<typeof flightFrame>;

/** What a bay saw before a fault. */
export const flightSchema = z.object({
  v: z.literal(1),
  id: z.string(),
  at: z.iso.datetime(),
  bay: z.int(),
  serialNumber: z.string(),
  code: z.string(),
  detail: z.string(),
  version: z.string(),
  frames: z.array(flightFrame),
});
export type Flight = z.output<typeof flightSchema>;

const limits = { maxMessageBytes: 8192, maxLineBytes: 1024 };
/** Of a message that may hold bytes of a recording. */
const contentBytes = 48;
/** Of one that cannot. */
const knownBytes = 1024;
/** Log text of the camera; a line of a frame whose start was lost may look like some. */
const textBytes = 48;

const commands = [camera, enumeration, fs, os, stat].flatMap((group) =>
  Object.values(group).flatMap((member) => (isCommand(member) ? [member] : [])),
);

/**
 * The messages in recorded frames, fit to be written down: no more than the first bytes of what may be part of a
 * recording, and nothing of what proves an identity.
 */
export function describeFrames(frames: readonly RecordedFrame[], nowMs: number): FlightFrame[] {
  const readers = new Map<string, (frame: RecordedFrame) => Omit<FlightFrame, 'beforeMs' | 'direction'>[]>();
  return frames.flatMap((frame) => {
    const key = `${frame.channel} ${frame.direction}`;
    const reader = readers.get(key) ?? readerOf(frame.channel);
    readers.set(key, reader);
    const beforeMs = Math.round((nowMs - frame.atMs) * 10) / 10;
    return reader(frame).map((found) => ({ beforeMs, direction: frame.direction, ...found }));
  });
}

type Found = Omit<FlightFrame, 'beforeMs' | 'direction'>;

function readerOf(channel: RecordedFrame['channel']): (frame: RecordedFrame) => Found[] {
  switch (channel) {
    case 'ptp':
      return ({ bytes, sizeBytes }) => [
        { kind: 'ptp', about: aboutPtp(bytes, sizeBytes), hex: hexOf(bytes), sizeBytes },
      ];
    case 'hid': {
      const reassembler = new HidReassembler(limits);
      return ({ bytes }) =>
        reassembler
          .push(bytes)
          .map((item) => (item.kind === 'message' ? ofMessage(item.bytes) : damaged(item)));
    }
    case 'console': {
      const deframer = new ConsoleDeframer(limits);
      return ({ bytes }) =>
        deframer.push(bytes).map((item) => {
          if (item.kind === 'message') return ofMessage(item.bytes);
          if (item.kind === 'damaged') return damaged(item);
          const line = Buffer.from(item.line, 'latin1');
          return {
            kind: 'text',
            about: 'no frame',
            hex: hexOf(line.subarray(0, textBytes)),
            sizeBytes: line.length,
          };
        });
    }
  }
}

function damaged(item: object): Found {
  const reason = 'reason' in item ? String(item.reason) : 'of another kind';
  return { kind: 'damaged', about: reason, hex: '', sizeBytes: 0 };
}

function ofMessage(bytes: Uint8Array): Found {
  let message: SmpMessage;
  try {
    ({ message } = decodeSmpMessage(bytes));
  } catch (error) {
    const about = asDockError(error).message;
    return { kind: 'smp', about, hex: hexOf(bytes.subarray(0, contentBytes)), sizeBytes: bytes.length };
  }
  const { groupId, commandId, op, sequence } = message;
  const isAnswer = op === smpOp.readResponse || op === smpOp.writeResponse;
  const access = op === smpOp.readRequest || op === smpOp.readResponse ? 'read' : 'write';
  const command = commands.find(
    (known) => known.groupId === groupId && known.commandId === commandId && known.access === access,
  );
  const name = command?.name ?? `group ${groupId}, command ${commandId}`;
  const about = `${name}, ${access} ${isAnswer ? 'response' : 'request'}, sequence ${sequence}`;
  const isSecret = groupId === camera.cameraGroupId && commandId === camera.cameraChallenge.commandId;
  const isContent = command === undefined || command === fs.fsDownload;
  const kept = isSecret ? headerBytes : isContent ? contentBytes : knownBytes;
  return {
    kind: 'smp',
    about: isSecret ? `${about}, withheld` : about,
    hex: hexOf(bytes.subarray(0, kept)),
    sizeBytes: bytes.length,
  };
}

const headerBytes = 8;
const ptpTypes: Record<number, string> = { 1: 'command', 2: 'data', 3: 'response', 4: 'event' };

function aboutPtp(bytes: Uint8Array, sizeBytes: number): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const type = bytes.length >= 12 ? ptpTypes[view.getUint16(4, true)] : undefined;
  if (type === undefined) return `${sizeBytes} bytes further on`;
  return `${type} 0x${view.getUint16(6, true).toString(16)}, transaction ${view.getUint32(8, true)}`;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

function isCommand(member: unknown): member is typeof fs.fsDownload {
  return typeof member === 'object' && member !== null && 'commandId' in member && 'groupId' in member;
}
