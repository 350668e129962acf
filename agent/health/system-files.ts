import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** The files in which the kernel tells about itself; what cannot be read is not there. */
export interface SystemFiles {
  /** Without the white space around it. */
  read(path: string): Promise<string | undefined>;
  /** Names in a folder, in order. */
  list(folder: string): Promise<string[]>;
  /** Where a link points, as it is written. */
  target(path: string): Promise<string | undefined>;
}

/** Those of this machine, or a recorded tree below `root`. */
export function systemFiles(root = '/'): SystemFiles {
  return {
    read: (path) =>
      readFile(join(root, path), 'utf8').then(
        (text) => text.trim(),
        () => undefined,
      ),
    list: (folder) =>
      readdir(join(root, folder)).then(
        (names) => names.toSorted(),
        () => [],
      ),
    target: (path) => readlink(join(root, path)).catch(() => undefined),
  };
}

/** A count as sysfs writes it, decimal or hexadecimal; undefined for anything else. */
export function countOf(text: string | undefined): number | undefined {
  return text !== undefined && /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : undefined;
}
