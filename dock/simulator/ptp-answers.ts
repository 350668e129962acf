import { ByteReader } from '../../protocol/ptp/byte-reader.ts';
import { ByteWriter } from '../../protocol/ptp/byte-writer.ts';
import { ptpDeviceProperty, ptpOperation, ptpResponse } from '../../protocol/ptp/codes.ts';
import { formatPtpDate, instantOf, parsePtpDate } from '../../protocol/ptp/datetime.ts';
import type { DeviceClock } from './device-clock.ts';
import type { PtpFaults } from './ptp-faults.ts';
import {
  encodeObjectInfo,
  simulatedStorageId,
  type SimulatedObject,
  type SimulatedObjects,
} from './ptp-objects.ts';

export interface SimulatedPtpDevice {
  serialNumber: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly extensionDescription: string;
  readonly operations: ReadonlySet<number>;
  readonly deviceProperties: ReadonlySet<number>;
  readonly clock: DeviceClock | undefined;
  readonly zoneMinutes: number;
  readonly objects: SimulatedObjects;
  readonly faults: PtpFaults;
}

/** Payload that may be too long to hold. */
export interface SimulatedPayload {
  readonly sizeBytes: number;
  slice(from: number, to: number): Uint8Array;
}

export interface SimulatedAnswer {
  readonly code: number;
  readonly parameters?: readonly number[];
  readonly payload?: SimulatedPayload;
  /** Never answered. */
  readonly isHanging?: boolean;
}

const ok: SimulatedAnswer = { code: ptpResponse.ok };

/** What a responder answers within a session. `data` is what the host sent after the command. */
export function answerOf(
  device: SimulatedPtpDevice,
  operation: number,
  parameters: readonly number[],
  data: Uint8Array | undefined,
): SimulatedAnswer {
  const { objects, faults } = device;
  const [first = 0, second = 0, third = 0, fourth = 0] = parameters;
  if (!device.operations.has(operation)) return { code: ptpResponse.operationNotSupported };
  switch (operation) {
    case ptpOperation.getDeviceInfo:
      return withData(deviceInfo(device));
    case ptpOperation.getStorageIds: {
      const isLate = faults.lateStorages > 0;
      if (isLate) faults.lateStorages--;
      return withData(new ByteWriter().u32Array(isLate ? [] : [simulatedStorageId]).bytes());
    }
    case ptpOperation.getStorageInfo:
      return withData(storageInfo());
    case ptpOperation.getObjectHandles:
      return withData(new ByteWriter().u32Array(objects.children(third)).bytes());
    case ptpOperation.getDevicePropDesc:
    case ptpOperation.getDevicePropValue:
    case ptpOperation.setDevicePropValue:
      return property(device, { operation, code: first, data });
  }
  const object = objects.get(first);
  if (!object) return { code: ptpResponse.invalidObjectHandle };
  const sizeBytes = object.recording?.sizeBytes ?? 0;
  switch (operation) {
    case ptpOperation.getObjectInfo:
      return withData(encodeObjectInfo(object, faults, device.zoneMinutes));
    case ptpOperation.getObjectPropValue:
      return withData(new ByteWriter().u64(sizeBytes).bytes());
    case ptpOperation.getObject:
      if (object.isFolder) return { code: ptpResponse.incompleteTransfer };
      return withPayload(content(device, object, 0, sizeBytes));
    case ptpOperation.getPartialObject:
      return part(device, object, second, third);
    case ptpOperation.getPartialObject64:
      return part(device, object, second + third * 2 ** 32, fourth);
    case ptpOperation.deleteObject:
      if (faults.refuseRemoval !== undefined) return { code: faults.refuseRemoval };
      if (object.recording && !faults.keepsRemoved) objects.store.remove(object.recording);
      return ok;
    default:
      return { code: ptpResponse.operationNotSupported };
  }
}

function part(
  device: SimulatedPtpDevice,
  object: SimulatedObject,
  from: number,
  bytes: number,
): SimulatedAnswer {
  const sizeBytes = object.recording?.sizeBytes ?? 0;
  const to = Math.min(from + bytes, sizeBytes);
  if (from + bytes > sizeBytes && device.faults.hangAfterEnd) return { code: 0, isHanging: true };
  const payload = content(device, object, Math.min(from, to), to);
  return { code: ptpResponse.ok, parameters: [payload.sizeBytes], payload };
}

function content(
  { objects }: SimulatedPtpDevice,
  { recording }: SimulatedObject,
  from: number,
  to: number,
): SimulatedPayload {
  return {
    sizeBytes: to - from,
    slice: (start, end) =>
      recording ? objects.store.read(recording, from + start, end - start) : new Uint8Array(end - start),
  };
}

function withData(bytes: Uint8Array): SimulatedAnswer {
  return withPayload({ sizeBytes: bytes.length, slice: (from, to) => bytes.subarray(from, to) });
}

function withPayload(payload: SimulatedPayload): SimulatedAnswer {
  return { code: ptpResponse.ok, payload };
}

function deviceInfo(device: SimulatedPtpDevice): Uint8Array {
  return new ByteWriter()
    .u16(100)
    .u32(6)
    .u16(100)
    .string(device.extensionDescription)
    .u16(0)
    .u16Array(device.operations)
    .u16Array([0x4002, 0x4007])
    .u16Array(device.deviceProperties)
    .u16Array([])
    .u16Array([0x3000, 0x3001])
    .string(device.manufacturer)
    .string(device.model)
    .string('1.0')
    .string(device.serialNumber)
    .bytes();
}

function storageInfo(): Uint8Array {
  const writer = new ByteWriter().u16(3).u16(2).u16(0).u64(32_000_000_000).u64(8_000_000_000);
  return writer.u32(0xffff_ffff).string('card').string('').bytes();
}

function property(
  device: SimulatedPtpDevice,
  { operation, code, data }: { operation: number; code: number; data: Uint8Array | undefined },
): SimulatedAnswer {
  if (!device.deviceProperties.has(code)) return { code: ptpResponse.devicePropNotSupported };
  if (code === ptpDeviceProperty.batteryLevel) {
    const { batteryLevel: level, hasBatteryRange } = device.faults;
    const desc = new ByteWriter()
      .u16(code)
      .u16(4)
      .u8(0)
      .u16(level)
      .u16(level)
      .u8(hasBatteryRange ? 1 : 0);
    if (hasBatteryRange) desc.u16(0).u16(100).u16(1);
    return operation === ptpOperation.getDevicePropDesc
      ? withData(desc.bytes())
      : { code: ptpResponse.accessDenied };
  }
  const { clock, faults, zoneMinutes } = device;
  if (operation === ptpOperation.setDevicePropValue) {
    const date = parsePtpDate(new ByteReader(data ?? new Uint8Array()).string('DateTime'));
    if (!date || !clock) return { code: ptpResponse.invalidParameter };
    clock.set(instantOf(date, zoneMinutes));
    return ok;
  }
  const at = faults.clockNeverSet ? undefined : clock?.read();
  const shape = `20000101T000000${faults.timeSuffix}`;
  const text = at === undefined ? '00000000T000000' : formatPtpDate(at, shape, zoneMinutes);
  if (operation === ptpOperation.getDevicePropValue) return withData(new ByteWriter().string(text).bytes());
  return withData(new ByteWriter().u16(code).u16(0xffff).u8(1).string('').string(text).u8(0).bytes());
}
