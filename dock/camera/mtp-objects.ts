import { hasCode } from '../../protocol/errors.ts';
import { ByteReader } from '../../protocol/ptp/byte-reader.ts';
import { ptpObjectProperty, ptpOperation, ptpResponse, rootParent } from '../../protocol/ptp/codes.ts';
import { decodeObjectInfo, type ObjectInfo } from '../../protocol/ptp/datasets.ts';
import type { MtpDevice } from './mtp-device.ts';
import { responseError } from './ptp-session.ts';

/** The session that handles came from is over: whoever holds some has to find them anew. */
export class SessionLost extends Error {}

/** What a handle stands for, or why that cannot be told. */
export type ObjectAnswer =
  | { readonly kind: 'object'; readonly info: ObjectInfo }
  | { readonly kind: 'gone' }
  | { readonly kind: 'unreadable'; readonly code: number; readonly reason: string };

export interface HandleOptions {
  readonly epoch: number;
  readonly signal: AbortSignal;
}

const mostHandleBytes = 4 * 1024 * 1024;
/** Beyond this no file system of a camera goes. */
const mostProbedBytes = 2 ** 44;

/** Concrete storages; the wildcard leaves old umtprd with a lock held until it is restarted. */
export async function readStorageIds(device: MtpDevice, signal: AbortSignal): Promise<number[]> {
  const { data } = await device.expectOk('GetStorageIDs', ptpOperation.getStorageIds, [], { signal });
  // A low half of 0 is a slot without a medium.
  const ids = new ByteReader(data).u32Array('storage ids').filter((id) => (id & 0xffff) !== 0);
  return [...new Set(ids)].filter((id) => id !== 0xffff_ffff);
}

/** What lies in one folder; undefined when the camera does not know the folder. Errors: SessionLost, `ptp.*`, `wire.*`. */
export async function readChildren(
  device: MtpDevice,
  { storageId, parent }: { storageId: number; parent: number },
  options: HandleOptions,
): Promise<number[] | undefined> {
  // No format filter: QEMU refuses one and umtprd ignores it.
  const parameters = [storageId, 0, parent];
  const answer = await device.request(ptpOperation.getObjectHandles, parameters, {
    ...options,
    maxDataBytes: mostHandleBytes,
  });
  switch (answer.code) {
    case ptpResponse.ok:
      return new ByteReader(answer.data).u32Array('object handles');
    case ptpResponse.invalidObjectHandle:
      // The root is always there.
      if (parent === rootParent) throw responseError('GetObjectHandles', answer.code);
      return undefined;
    case ptpResponse.sessionNotOpen:
    case ptpResponse.invalidStorageId:
      throw new SessionLost();
    default:
      throw responseError('GetObjectHandles', answer.code);
  }
}

/** One object that cannot be told is recorded and passed over. Errors: SessionLost, `ptp.*`, `wire.*`. */
export async function readObject(
  device: MtpDevice,
  handle: number,
  options: HandleOptions,
): Promise<ObjectAnswer> {
  const answer = await device.request(ptpOperation.getObjectInfo, [handle], options);
  switch (answer.code) {
    case ptpResponse.ok:
      break;
    case ptpResponse.invalidObjectHandle:
      return { kind: 'gone' };
    case ptpResponse.sessionNotOpen:
      throw new SessionLost();
    case ptpResponse.accessDenied:
    case ptpResponse.deviceBusy:
    case ptpResponse.storeNotAvailable:
      throw responseError('GetObjectInfo', answer.code);
    default:
      return unreadable(answer.code, `GetObjectInfo: 0x${answer.code.toString(16)}`);
  }
  try {
    return { kind: 'object', info: decodeObjectInfo(answer.data) };
  } catch (error) {
    if (hasCode(error, 'wire.malformed')) return unreadable(answer.code, (error as Error).message);
    throw error;
  }
}

function unreadable(code: number, reason: string): ObjectAnswer {
  return { kind: 'unreadable', code, reason };
}

/**
 * The true size of an object; undefined when the camera has no way to tell it. Object property DC04 is right where
 * ObjectInfo has 32 bits only, and where it wraps around; where the two differ in another way, ObjectInfo is what
 * every other host goes by.
 */
export async function readSize(
  device: MtpDevice,
  handle: number,
  info: ObjectInfo,
  options: HandleOptions,
): Promise<number | bigint | undefined> {
  const stated = await readSizeProperty(device, handle, options);
  if (stated !== undefined && isSameModulo(stated, info.sizeBytes)) return asNumber(stated);
  if (info.sizeBytes !== undefined) return info.sizeBytes;
  return probeSize(device, handle, options);
}

async function readSizeProperty(
  device: MtpDevice,
  handle: number,
  options: HandleOptions,
): Promise<bigint | undefined> {
  if (device.quirks.noObjectSize || !device.supports(ptpOperation.getObjectPropValue)) return undefined;
  const parameters = [handle, ptpObjectProperty.objectSize];
  const answer = await device.request(ptpOperation.getObjectPropValue, parameters, options);
  if (answer.code === ptpResponse.sessionNotOpen) throw new SessionLost();
  if (answer.code !== ptpResponse.ok || answer.data.length < 4) return undefined;
  const reader = new ByteReader(answer.data);
  return answer.data.length >= 8 ? reader.u64('size') : BigInt(reader.u32('size'));
}

/** 0xFFFFFFFF as a 32-bit property says nothing, like the field it repeats. */
function isSameModulo(property: bigint, field: number | undefined): boolean {
  if (field === undefined) return property > 0xffff_ffffn;
  return property % 2n ** 32n === BigInt(field) % 2n ** 32n;
}

function asNumber(size: bigint): number | bigint {
  return size <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(size) : size;
}

/**
 * Looks for the end with reads of one byte each, some forty of them: for cameras that read at 64-bit offsets and cannot
 * state a size of more than 32 bits.
 */
async function probeSize(
  device: MtpDevice,
  handle: number,
  options: HandleOptions,
): Promise<number | undefined> {
  if (!device.supports(ptpOperation.getPartialObject64) || device.quirks.maxPartialBytes === 0)
    return undefined;
  const hasByteAt = async (offset: number): Promise<boolean> => {
    const parameters = [handle, offset % 2 ** 32, Math.floor(offset / 2 ** 32), 1];
    const answer = await device.request(ptpOperation.getPartialObject64, parameters, options);
    if (answer.code === ptpResponse.sessionNotOpen) throw new SessionLost();
    return answer.code === ptpResponse.ok && answer.data.length > 0;
  };
  let below = 2 ** 32 - 2;
  if (!(await hasByteAt(below))) return undefined;
  let above = 2 ** 33;
  for (; await hasByteAt(above); above *= 2) {
    below = above;
    if (above >= mostProbedBytes) return undefined;
  }
  while (above - below > 1) {
    const middle = Math.floor((above + below) / 2);
    if (await hasByteAt(middle)) below = middle;
    else above = middle;
  }
  return above;
}
