import { ByteWriter } from '../../protocol/ptp/byte-writer.ts';
import { ptpFormat, unknownLength } from '../../protocol/ptp/codes.ts';
import { formatPtpDate } from '../../protocol/ptp/datetime.ts';
import type { PtpFaults } from './ptp-faults.ts';
import type { HeldRecording, RecordingStore } from './recording-store.ts';

export const simulatedStorageId = 0x0001_0001;

/** One object of a simulated responder. */
export interface SimulatedObject {
  readonly handle: number;
  /** 0 at the root. */
  readonly parent: number;
  readonly name: string;
  /** Absent for folders and for objects without content. */
  readonly recording?: HeldRecording;
  readonly isFolder: boolean;
}

/** A store as PTP shows it: folders made of the paths, handles by path. */
export class SimulatedObjects {
  readonly store: RecordingStore;
  readonly #strange: readonly SimulatedObject[];
  #handles = new Map<string, number>();
  #nextHandle = 1;

  /** `strange`: objects beside those of the store, as no sane camera has them. */
  constructor(store: RecordingStore, strange: readonly SimulatedObject[] = []) {
    this.store = store;
    this.#strange = strange;
  }

  renumber(): void {
    this.#handles = new Map();
    this.#nextHandle += 100;
  }

  all(): SimulatedObject[] {
    const objects = new Map<string, SimulatedObject>();
    const put = (path: string, recording?: HeldRecording): number => {
      if (path === '') return 0;
      const known = objects.get(path);
      if (known) return known.handle;
      const cut = path.lastIndexOf('/');
      const parent = put(path.slice(0, cut));
      const handle = this.#handles.get(path) ?? this.#nextHandle++;
      this.#handles.set(path, handle);
      const isFolder = recording === undefined;
      objects.set(path, {
        handle,
        parent,
        name: path.slice(cut + 1),
        isFolder,
        ...(recording && { recording }),
      });
      return handle;
    };
    for (const recording of this.store.list()) put(recording.path, recording);
    return [...objects.values(), ...this.#strange];
  }

  get(handle: number): SimulatedObject | undefined {
    return this.all().find((object) => object.handle === handle);
  }

  children(parent: number): number[] {
    const wanted = parent === 0xffff_ffff ? 0 : parent;
    return this.all()
      .filter((object) => object.parent === wanted)
      .map(({ handle }) => handle);
  }
}

export function encodeObjectInfo(
  object: SimulatedObject,
  faults: PtpFaults,
  zoneMinutes: number,
): Uint8Array {
  const { recording } = object;
  const sizeBytes = recording?.sizeBytes ?? 0;
  const date = (at: number | undefined): string =>
    at === undefined ? '' : formatPtpDate(at, `20000101T000000${faults.timeSuffix}`, zoneMinutes);
  const writer = new ByteWriter()
    .u32(simulatedStorageId)
    .u16(object.isFolder ? ptpFormat.association : 0x3000)
    .u16(recording?.isProtected ? 1 : 0);
  if (faults.wideObjectInfo) writer.u64(sizeBytes);
  else if (faults.sizesModulo32) writer.u32(sizeBytes % 2 ** 32);
  else writer.u32(Math.min(sizeBytes, unknownLength));
  writer.u16(0);
  for (let field = 0; field < 6; field++) writer.u32(0);
  return writer
    .u32(object.parent)
    .u16(object.isFolder ? 1 : 0)
    .u32(0)
    .u32(0)
    .string(object.name)
    .string(date(recording?.startedAt))
    .string(date(recording?.endedAt))
    .string('')
    .bytes();
}
