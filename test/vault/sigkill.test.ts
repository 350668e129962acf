// The process can end between any two instructions: an update, the OOM killer, a power switch. A child process runs a
// whole docking and kills itself before the n-th change of the disk, in the middle of an append, just before or just
// after a commit; n counts up until a life passes unharmed. After every such death nothing removed from the camera is
// missing on the station, and after one life more everything is as if there had been no death.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { Database, type Row } from '../../agent/state/database.ts';
import { killCamera, killRecordings, removedIds } from '../support/kill-camera.ts';
import { bytesOf } from '../support/recordings.ts';

const child = fileURLToPath(new URL('../support/kill-child.ts', import.meta.url));
const digests = killRecordings.map(([path, sizeBytes]) =>
  createHash('sha256').update(bytesOf(path, sizeBytes)).digest('hex'),
);
/** More moments than a life has: the loop counts up to the end, not to here. */
const mostMoments = 500;

/** Without it half the time would go into compiling the same modules again. */
const compileCache = mkdtempSync(join(tmpdir(), 'dock-kill-cache-'));
afterAll(() => rmSync(compileCache, { recursive: true, force: true }));

describe('a station killed', () => {
  test.each([
    ['before any change of the disk', 'disk-change', 24],
    ['in the middle of any append', 'half-append', 4],
    ['just before any commit', 'before-commit', 20],
    ['just after any commit', 'after-commit', 20],
  ])(
    '%s has stored, reported and removed everything exactly once after its next start',
    async (_name, moment, leastDeaths) => {
      let deaths = 0;
      let isThrough = false;
      await inPairs(async (n) => {
        if (isThrough) return false;
        expect(n).toBeLessThan(mostMoments);
        if (await dies([moment, n])) deaths++;
        else isThrough = true;
        return true;
      });
      expect(deaths).toBeGreaterThanOrEqual(leastDeaths);
    },
    120_000,
  );

  test('with a file linked that the catalogue does not know, and again while it adopts that file, loses nothing', async () => {
    const recovering = [
      ...[1, 2, 3, 4, 5, 6, 7, 8].map((n): Death => ['disk-change', n]),
      ...[1, 2].flatMap((n): Death[] => [
        ['before-commit', n],
        ['after-commit', n],
      ]),
    ];
    await inPairs(async (n) => {
      const death = recovering[n - 1];
      if (death) expect(await dies(['linked-without-row', 1], death)).toBe(true);
      return death !== undefined;
    });
  }, 120_000);
});

/** What ends a life: the n-th moment of a kind that kill-child.ts knows. */
type Death = readonly [moment: string, n: number];

/** Calls `work` with 1, 2, 3, ..., two at a time, until it says false. */
async function inPairs(work: (n: number) => Promise<boolean>): Promise<void> {
  let n = 0;
  const inTurn = async (): Promise<void> => {
    while (await work(++n));
  };
  await Promise.all([inTurn(), inTurn()]);
}

/** A life for each death, and one after them; false when the last got through its life. */
async function dies(...deaths: readonly Death[]): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'dock-kill-'));
  try {
    let end: unknown;
    for (const [moment, n] of deaths) {
      end = await live(folder, moment, n);
      expectRemovedIsStored(folder);
    }
    const last = end === 'killed' ? await live(folder, 'never', 0) : end;
    expect(last).toMatchObject({ outcome: 'complete' });
    expectAllExactlyOnce(folder);
    expect(await Array.fromAsync(killCamera(folder).recordings())).toEqual([]);
    return end === 'killed';
  } catch (error) {
    throw new Error(deaths.join(', then '), { cause: error });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function live(folder: string, moment: string, n: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const args = [child, folder, moment, String(n)];
    const env = { ...process.env, NODE_COMPILE_CACHE: compileCache };
    execFile(process.execPath, args, { env, timeout: 90_000, killSignal: 'SIGTERM' }, (error, stdout) => {
      if (!error) resolve(JSON.parse(stdout));
      else if (error.signal === 'SIGKILL') resolve('killed');
      else reject(error);
    });
  });
}

/** Promise 1: whatever the camera no longer has is in the catalogue and whole on the disk. */
function expectRemovedIsStored(folder: string): void {
  const removed = removedIds(folder);
  if (removed.length === 0) return;
  using db = new Database(join(folder, 'station.db'));
  const stored = db.all('SELECT source_id, sha256, stored_path FROM recording');
  for (const id of removed) {
    const row = stored.find(({ source_id: sourceId }) => sourceId === id);
    expect(row?.['sha256'], id).toBe(digests[Number(id.slice(1))]);
    expect(digestOf(folder, row)).toBe(row?.['sha256']);
  }
}

function expectAllExactlyOnce(folder: string): void {
  using db = new Database(join(folder, 'station.db'));
  const stored = db.all('SELECT * FROM recording ORDER BY path');
  expect(stored.map(({ path, sha256 }) => [path, sha256])).toEqual(
    killRecordings.map(([path], index) => [path, digests[index]]),
  );
  expect(stored.map((row) => digestOf(folder, row))).toEqual(digests);
  const paths = stored.map((row) => String(row['stored_path']));
  expect(filesIn(join(folder, 'vault'))).toEqual(paths.flatMap((path) => [path, `${path}.json`]).toSorted());
  for (const { id, sha256, session_id: sessionId, stored_path: path } of stored) {
    const sidecar: unknown = JSON.parse(readFileSync(join(folder, 'vault', `${String(path)}.json`), 'utf8'));
    expect(sidecar).toMatchObject({ id, sha256, storedPath: path, session: { id: sessionId } });
  }
  expect(db.all('SELECT * FROM intake')).toEqual([]);

  expect(removedIds(folder)).toHaveLength(killRecordings.length);
  expect(db.all('SELECT * FROM removal')).toEqual([]);
  expect(stored.every(({ removed_at: removedAt }) => removedAt !== null)).toBe(true);

  const events = db.all('SELECT * FROM event ORDER BY seq');
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  const idsOf = (type: string): unknown[] =>
    dataOf(events, type)
      .map(({ recordingId }) => String(recordingId))
      .toSorted();
  const ids = stored.map(({ id }) => String(id)).toSorted();
  expect(idsOf('recording-stored')).toEqual(ids);
  expect(idsOf('recording-removed')).toEqual(ids);
  expect(dataOf(events, 'camera-enrolled')).toHaveLength(1);
  expect(dataOf(events, 'vault-problem')).toEqual([]);
  expectAccounts(db, events);
}

/** Promise 4: every session is closed and reported as it stands, and together they stored everything once. */
function expectAccounts(db: Database, events: readonly Row[]): void {
  const sessions = db.all('SELECT * FROM docking_session ORDER BY id');
  const reported = new Map(dataOf(events, 'session-finished').map((data) => [data['sessionId'], data]));
  expect(dataOf(events, 'session-finished')).toHaveLength(sessions.length);
  for (const session of sessions) {
    const { listed, stored, held, quarantined, refused, removed, stored_bytes: storedBytes } = session;
    const unaccounted = Number(listed) - Number(stored) - Number(held);
    expect(session['ended_at']).not.toBeNull();
    expect([quarantined, refused]).toEqual([0, 0]);
    expect(unaccounted).toBeGreaterThanOrEqual(0);
    if (session['outcome'] === 'complete') expect(unaccounted).toBe(0);
    const account = { listed, stored, held, quarantined, refused, removed, storedBytes, unaccounted };
    expect(reported.get(session['id'])).toMatchObject({ ...account, outcome: session['outcome'] });
  }
  const sum = (column: string): number => sessions.reduce((total, row) => total + Number(row[column]), 0);
  expect(sum('stored')).toBe(killRecordings.length);
  expect(sum('stored_bytes')).toBe(killRecordings.reduce((total, [, sizeBytes]) => total + sizeBytes, 0));
  expect(sum('removed')).toBe(killRecordings.length);
  expect(sessions.at(-1)?.['outcome']).toBe('complete');
}

function dataOf(events: readonly Row[], type: string): Record<string, unknown>[] {
  return events.filter((event) => event['type'] === type).map(({ data }) => JSON.parse(String(data)));
}

function digestOf(folder: string, row: Row | undefined): string {
  const bytes = readFileSync(join(folder, 'vault', String(row?.['stored_path'])));
  return createHash('sha256').update(bytes).digest('hex');
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .toSorted();
}
