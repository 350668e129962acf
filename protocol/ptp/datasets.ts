import { DockError } from '../errors.ts';
import { ByteReader } from './byte-reader.ts';
import { ptpFormat, unknownLength } from './codes.ts';

/** Datasets that a responder sends. What a dataset ends too early for is absent, unless nothing works without it. */
export interface DeviceInfo {
  readonly vendorExtensionId: number;
  /** A `;`-separated list such as `microsoft.com: 1.0; android.com: 1.0;`. */
  readonly extensionDescription: string;
  readonly operations: ReadonlySet<number>;
  readonly events: ReadonlySet<number>;
  readonly deviceProperties: ReadonlySet<number>;
  readonly manufacturer: string;
  readonly model: string;
  readonly version: string;
  readonly serialNumber: string;
}

/** Errors: `wire.malformed`. */
export function decodeDeviceInfo(bytes: Uint8Array): DeviceInfo {
  const reader = new ByteReader(bytes);
  reader.skip(2, 'standard version');
  const vendorExtensionId = reader.u32('vendor extension id');
  reader.skip(2, 'extension version');
  const extensionDescription = reader.string('extension description');
  reader.skip(2, 'functional mode');
  const operations = new Set(reader.u16Array('operations'));
  const events = new Set(reader.u16Array('events'));
  const deviceProperties = new Set(reader.u16Array('device properties'));
  reader.u16Array('capture formats');
  reader.u16Array('playback formats');
  const [manufacturer, model, version, serialNumber] = [
    'manufacturer',
    'model',
    'version',
    'serial number',
  ].map((field) => orAbsent(() => reader.string(field)) ?? '') as [string, string, string, string];
  return {
    vendorExtensionId,
    extensionDescription,
    operations,
    events,
    deviceProperties,
    manufacturer,
    model,
    version,
    serialNumber,
  };
}

export interface StorageInfo {
  /** 0 read and write, 1 read only, 2 read only but objects may be deleted. */
  readonly access: number;
  readonly capacityBytes: bigint;
  readonly freeBytes: bigint;
  readonly description: string;
}

export function decodeStorageInfo(bytes: Uint8Array): StorageInfo {
  const reader = new ByteReader(bytes);
  reader.skip(4, 'storage and file system type');
  const access = reader.u16('access');
  const capacityBytes = reader.u64('capacity');
  const freeBytes = reader.u64('free bytes');
  reader.skip(4, 'free objects');
  return {
    access,
    capacityBytes,
    freeBytes,
    description: orAbsent(() => reader.string('description')) ?? '',
  };
}

export interface ObjectInfo {
  readonly storageId: number;
  readonly format: number;
  readonly isFolder: boolean;
  readonly isProtected: boolean;
  /** Undefined where the field cannot hold it, at 4 GiB and above, and beyond 2^53. umtprd before 1.9 gives it modulo 2^32. */
  readonly sizeBytes: number | undefined;
  readonly parent: number;
  readonly name: string;
  /** As sent: `YYYYMMDDThhmmss` with an optional fraction and zone. */
  readonly capturedAt: string;
  readonly modifiedAt: string;
}

/** Errors: `wire.malformed`. */
export function decodeObjectInfo(bytes: Uint8Array): ObjectInfo {
  // Some Samsung devices send a size of 64 bits, which shifts everything behind it by four bytes.
  const isShifted = bytes.length > 56 && bytes[52] === 0 && bytes[56] !== 0;
  const reader = new ByteReader(bytes);
  const storageId = reader.u32('storage');
  const format = reader.u16('format');
  const isProtected = reader.u16('protection') !== 0;
  const size = reader.u32('size');
  const sizeHigh = isShifted ? reader.u32('upper half of the size') : 0;
  reader.skip(2 + 4 * 6, 'thumbnail and image sizes');
  const parent = reader.u32('parent');
  const associationType = reader.u16('association type');
  reader.skip(8, 'association and sequence');
  const name = reader.string('file name');
  const capturedAt = orAbsent(() => reader.string('capture date')) ?? '';
  const modifiedAt = orAbsent(() => reader.string('modification date')) ?? '';
  const isFolder = format === ptpFormat.association || associationType === 1;
  const stated = size === unknownLength && !isShifted ? undefined : sizeHigh * 2 ** 32 + size;
  // What a number cannot hold exactly is no size that could be compared.
  const sizeBytes = Number.isSafeInteger(stated) ? stated : undefined;
  return { storageId, format, isFolder, isProtected, sizeBytes, parent, name, capturedAt, modifiedAt };
}

export interface DevicePropDesc {
  readonly property: number;
  readonly type: number;
  readonly isWritable: boolean;
  readonly current: number | bigint | string;
  /** Of a range form. */
  readonly range?: { readonly min: number | bigint; readonly max: number | bigint };
}

/** Errors: `wire.malformed`, also for the array and 128-bit types that no property we read has. */
export function decodeDevicePropDesc(bytes: Uint8Array): DevicePropDesc {
  const reader = new ByteReader(bytes);
  const property = reader.u16('property');
  const type = reader.u16('type');
  const isWritable = reader.u8('get/set') === 1;
  readValue(reader, type);
  const current = readValue(reader, type);
  const form = orAbsent(() => reader.u8('form'));
  if (form !== 1) return { property, type, isWritable, current };
  const [min, max] = [readValue(reader, type), readValue(reader, type)];
  if (typeof min === 'string' || typeof max === 'string') return { property, type, isWritable, current };
  return { property, type, isWritable, current, range: { min, max } };
}

/** One value of a PTP type: 1 to 8 are integers of 8 to 64 bits, odd ones signed; 0xFFFF is a string. */
export function readValue(reader: ByteReader, type: number): number | bigint | string {
  switch (type) {
    case 1:
      return (reader.u8('value') << 24) >> 24;
    case 2:
      return reader.u8('value');
    case 3:
      return (reader.u16('value') << 16) >> 16;
    case 4:
      return reader.u16('value');
    case 5:
      return reader.u32('value') | 0;
    case 6:
      return reader.u32('value');
    case 7:
      return BigInt.asIntN(64, reader.u64('value'));
    case 8:
      return reader.u64('value');
    case 0xffff:
      return reader.string('value');
    default:
      throw new DockError('wire.malformed', `PTP type 0x${type.toString(16)}`);
  }
}

/** A PTP string, as it is written to a property. Errors: `wire.too-large` above 254 characters. */
export function encodePtpString(text: string): Uint8Array {
  if (text.length === 0) return Uint8Array.of(0);
  if (text.length > 254) throw new DockError('wire.too-large', `PTP string of ${text.length} characters`);
  const bytes = new Uint8Array(1 + 2 * (text.length + 1));
  const view = new DataView(bytes.buffer);
  view.setUint8(0, text.length + 1);
  for (let index = 0; index < text.length; index++)
    view.setUint16(1 + 2 * index, text.charCodeAt(index), true);
  return bytes;
}

function orAbsent<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
