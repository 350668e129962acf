import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync, rmSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { RecordingKind } from '../camera/camera.ts';

/** One recording on a simulated camera. Times are by the camera's clock, UTC milliseconds. */
export interface HeldRecording {
  readonly id: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly kind: RecordingKind;
  readonly isProtected: boolean;
  readonly startedAt?: number;
  readonly endedAt?: number;
  /** Whether the camera knows the digest without computing it, as cameras that hash while recording do. */
  readonly knowsDigest: boolean;
}

/** The storage of a simulated camera. */
export interface RecordingStore {
  list(): readonly HeldRecording[];
  find(by: { readonly path: string } | { readonly id: string }): HeldRecording | undefined;
  /** Up to `length` bytes from `offset`; fewer only at the end. */
  read(recording: HeldRecording, offset: number, length: number): Uint8Array;
  remove(recording: HeldRecording): void;
}

/** Recordings held in memory; removed ones are remembered so that a test can look at what is left. */
export class MemoryStore implements RecordingStore {
  readonly #held = new Map<string, { readonly recording: HeldRecording; readonly bytes: Uint8Array }>();

  add(recording: Omit<HeldRecording, 'sizeBytes'>, bytes: Uint8Array): void {
    this.#held.set(recording.id, { recording: { ...recording, sizeBytes: bytes.length }, bytes });
  }

  list(): readonly HeldRecording[] {
    return [...this.#held.values()].map(({ recording }) => recording);
  }

  find(by: { readonly path: string } | { readonly id: string }): HeldRecording | undefined {
    return this.list().find((held) => ('path' in by ? held.path === by.path : held.id === by.id));
  }

  bytes(id: string): Uint8Array | undefined {
    return this.#held.get(id)?.bytes;
  }

  read(recording: HeldRecording, offset: number, length: number): Uint8Array {
    return this.#held.get(recording.id)?.bytes.subarray(offset, offset + length) ?? new Uint8Array();
  }

  remove(recording: HeldRecording): void {
    this.#held.delete(recording.id);
  }
}

const kindsByExtension: Readonly<Record<string, RecordingKind>> = {
  '.mp4': 'video',
  '.mov': 'video',
  '.avi': 'video',
  '.wav': 'audio',
  '.mp3': 'audio',
  '.aac': 'audio',
  '.jpg': 'photo',
  '.jpeg': 'photo',
};

/**
 * Real files in a folder: what a camera's own agent on a Linux board serves. Files are recordings by their
 * extension; a file that may not be written counts as protected; modification time is the end.
 */
export class FolderStore implements RecordingStore {
  readonly #folder: string;
  #listed: readonly HeldRecording[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  list(): readonly HeldRecording[] {
    this.#listed = readdirSync(this.#folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && kindsByExtension[extname(entry.name).toLowerCase()])
      .map((entry) => {
        const path = join(entry.parentPath, entry.name);
        const { size, mode, mtimeMs } = statSync(path);
        return {
          id: createHash('sha256').update(path).digest('hex').slice(0, 16),
          path,
          sizeBytes: size,
          kind: kindsByExtension[extname(path).toLowerCase()] ?? 'other',
          isProtected: (mode & 0o200) === 0,
          endedAt: Math.floor(mtimeMs),
          knowsDigest: false,
        };
      })
      .sort((a, b) => (a.path < b.path ? -1 : 1));
    return this.#listed;
  }

  /** From the last list, as long as the file is what it was then: a download asks for every chunk. */
  find(by: { readonly path: string } | { readonly id: string }): HeldRecording | undefined {
    const isWanted = (held: HeldRecording): boolean =>
      'path' in by ? held.path === by.path : held.id === by.id;
    const listed = this.#listed.find(isWanted);
    const found = listed && statSync(listed.path, { throwIfNoEntry: false });
    const isSame = found && found.size === listed.sizeBytes && Math.floor(found.mtimeMs) === listed.endedAt;
    return isSame ? listed : this.list().find(isWanted);
  }

  read(recording: HeldRecording, offset: number, length: number): Uint8Array {
    const file = openSync(recording.path, 'r');
    try {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, recording.sizeBytes - offset)));
      let filled = 0;
      while (filled < bytes.length) {
        const count = readSync(file, bytes, filled, bytes.length - filled, offset + filled);
        if (count === 0) break;
        filled += count;
      }
      return bytes.subarray(0, filled);
    } finally {
      closeSync(file);
    }
  }

  remove(recording: HeldRecording): void {
    rmSync(recording.path);
  }
}
