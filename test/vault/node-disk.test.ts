// Promise 1 ends at system calls: everything above is tested with a disk that only pretends. So a process of its own
// works on real folders, and Node's trace of its file operations shows what was synced.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

let folder = '';
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'node-disk-'))));
afterEach(() => rmSync(folder, { recursive: true }));

interface TraceEvent {
  readonly cat?: string;
  readonly name: string;
  readonly ph: string;
  readonly ts: number;
  readonly args?: { readonly path?: string };
}

/** What a piece of code with `nodeDisk` syncs: the operation and the path that was opened for it, below `folder`. */
function syncsOf(code: string): string[] {
  const trace = `${folder}.trace`;
  const module = new URL('../../agent/vault/node-disk.ts', import.meta.url).href;
  const tracing = ['--trace-event-categories', 'node.fs.async', '--trace-event-file-pattern', trace];
  const script = `import { nodeDisk } from '${module}'; const folder = '${folder}'; ${code}`;
  try {
    execFileSync(process.execPath, [...tracing, '--input-type=module', '-e', script]);
    const { traceEvents } = JSON.parse(readFileSync(trace, 'utf8')) as { traceEvents: TraceEvent[] };
    const begun = traceEvents
      .filter(({ cat, ph }) => cat?.includes('node.fs') && ph === 'b')
      .toSorted((a, b) => a.ts - b.ts);
    let opened = '';
    return begun.flatMap(({ name, args }) => {
      if (name === 'open') opened = relative(folder, args?.path ?? '');
      return name.endsWith('sync') ? [`${name} ${opened}`] : [];
    });
  } finally {
    rmSync(trace, { force: true });
  }
}

test('a new folder and the folders made for it are synced in their parents, one that is there is not', () => {
  const syncs = syncsOf(`
    await nodeDisk.makeFolder(folder + '/a');
    await nodeDisk.makeFolder(folder + '/a/b/c');
    await nodeDisk.makeFolder(folder + '/a/b/c');
  `);
  expect(syncs).toEqual(['fsync ', 'fsync a/b', 'fsync a']);
});

test('a file is synced when it is told to be, and a folder too', () => {
  const syncs = syncsOf(`
    await using file = await nodeDisk.open(folder + '/x', 'create');
    await file.append(Buffer.from('abc'));
    await file.sync();
    await nodeDisk.syncFolder(folder);
  `);
  expect(syncs).toEqual(['fdatasync x', 'fsync ']);
});
