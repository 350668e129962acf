import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ByteCamera } from './byte-camera.ts';

/** What the camera of kill-child.ts holds at first: path and size of each recording. */
export const killRecordings: readonly (readonly [path: string, sizeBytes: number])[] = [
  ['/DCIM/A.MP4', 700_000],
  ['/DCIM/B.MP4', 100],
];

/** Ids of what the camera has removed, in order: its own memory, which no crash of the station touches. */
export function removedIds(folder: string): string[] {
  const file = removedFile(folder);
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
}

/** The camera, without what it has removed in earlier lives of the station. */
export function killCamera(folder: string): ByteCamera {
  const removed = removedIds(folder);
  const camera = new ByteCamera({
    chunkBytes: 300_000,
    onRemove: ({ id }) => appendFileSync(removedFile(folder), `${id}\n`),
  });
  for (const [index, [path, sizeBytes]] of killRecordings.entries()) {
    const id = `R${index}`;
    if (!removed.includes(id)) camera.add(path, sizeBytes, { id, startedAt: index });
  }
  return camera;
}

function removedFile(folder: string): string {
  return join(folder, 'removed-from-camera');
}
