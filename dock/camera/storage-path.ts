import { isUtf8 } from 'node:buffer';

/**
 * Paths of files on a storage as text, from which the bytes of the names can be had again. A byte that is not UTF-8,
 * and the backslash, which no FAT name holds, are written as `\xNN`.
 */
export function nameAsText(name: Buffer): string {
  if (isUtf8(name) && !name.includes(0x5c)) return name.toString('utf8');
  let text = '';
  for (let at = 0; at < name.length;) {
    const length = [1, 2, 3, 4].find((count) => isCharacter(name.subarray(at, at + count)));
    text += length ? name.toString('utf8', at, at + length) : `\\x${name.toString('hex', at, at + 1)}`;
    at += length ?? 1;
  }
  return text;
}

function isCharacter(bytes: Buffer): boolean {
  return bytes[0] !== 0x5c && isUtf8(bytes);
}

/**
 * The names along a path, as bytes; undefined for a path that `nameAsText` did not make, such as one that leads out
 * of its storage.
 */
export function namesOfPath(path: string): Buffer[] | undefined {
  if (!path.startsWith('/')) return undefined;
  const names = path.slice(1).split('/').map(nameAsBytes);
  return names.every((name) => name !== undefined) ? names : undefined;
}

function nameAsBytes(text: string): Buffer | undefined {
  if (text === '' || text === '.' || text === '..' || text.includes('\0')) return undefined;
  const parts = text.split(/(\\x[0-9a-f]{2})/);
  const name = Buffer.concat(
    parts.map((part, index) =>
      Buffer.from(index % 2 === 1 ? part.slice(2) : part, index % 2 === 1 ? 'hex' : 'utf8'),
    ),
  );
  return nameAsText(name) === text && !name.includes(0x2f) && !name.includes(0) ? name : undefined;
}

/** A folder or file below another. */
export function below(folder: Buffer, ...names: readonly Buffer[]): Buffer {
  return Buffer.concat([folder, ...names.flatMap((name) => [Buffer.from('/'), name])]);
}
