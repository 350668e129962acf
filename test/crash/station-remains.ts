import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { backupFolderOf } from '../../agent/state/backups.ts';
import type { Received } from '../report/monitor.ts';
import type { CrashStation } from './crash-station.ts';

type Row = Record<string, SQLOutputValue>;

/** What a dead station left: read from a copy of its database and from the vault, neither of which is touched. */
export class StationRemains {
  readonly recordings: readonly Row[];
  readonly intakes: readonly Row[];
  readonly removals: readonly Row[];
  readonly sessions: readonly Row[];
  readonly events: readonly Row[];
  /** Path below the vault to size in bytes. */
  readonly files: ReadonlyMap<string, number>;
  readonly #vaultFolder: string;

  constructor({ stateFolder, vaultFolder }: Pick<CrashStation, 'stateFolder' | 'vaultFolder'>) {
    this.#vaultFolder = vaultFolder;
    const copy = mkdtempSync(join(tmpdir(), 'dock-remains-'));
    try {
      for (const name of ['station.db', 'station.db-wal']) {
        if (existsSync(join(stateFolder, name))) copyFileSync(join(stateFolder, name), join(copy, name));
      }
      using db = new DatabaseSync(join(copy, 'station.db'));
      const hasTables = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n'] !== 0;
      const rows = (table: string): Row[] => (hasTables ? db.prepare(`SELECT * FROM ${table}`).all() : []);
      this.recordings = rows('recording');
      this.intakes = rows('intake');
      this.removals = rows('removal');
      this.sessions = rows('docking_session');
      this.events = rows('event ORDER BY seq');
    } finally {
      rmSync(copy, { recursive: true });
    }
    this.files = new Map(
      (existsSync(vaultFolder) ? readdirSync(vaultFolder, { recursive: true, withFileTypes: true }) : [])
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .filter((path) => !path.startsWith(backupFolderOf(vaultFolder)))
        .map((path) => [relative(vaultFolder, path), statSync(path).size]),
    );
  }

  /** Digests of the stored files, lower-case hex; `undefined` for one that is not there. */
  digestOf(storedPath: string): string | undefined {
    const path = join(this.#vaultFolder, storedPath);
    return existsSync(path) ? createHash('sha256').update(readFileSync(path)).digest('hex') : undefined;
  }
}

/** Who was checked before need not be hashed again until the end: recordings by id. */
export type Hashed = Set<string>;

/**
 * What must hold at every moment, also in the middle of anything, in words; none when all is well. Promises 1 and 2:
 * what a camera no longer has is stored as it was. One row for each recording. Catalogue and disk agree: each row has
 * its whole file, each file has its row or is still under way.
 */
export function violations(station: CrashStation, remains: StationRemains, hashed: Hashed): string[] {
  const found: string[] = [];
  const digests = new Map<string, string[]>();
  for (const row of remains.recordings) {
    const [id, key, sha256] = [
      String(row['id']),
      `${String(row['serial_number'])} ${String(row['path'])}`,
      String(row['sha256']),
    ];
    digests.set(key, [...(digests.get(key) ?? []), sha256]);
    const storedPath = String(row['stored_path']);
    if (remains.files.get(storedPath) !== row['size_bytes']) {
      found.push(
        `${key}: catalogued with ${Number(row['size_bytes'])} bytes, on disk ${remains.files.get(storedPath)}`,
      );
    } else if (!hashed.has(id)) {
      hashed.add(id);
      if (remains.digestOf(storedPath) !== sha256) found.push(`${key}: not what the catalogue says`);
    }
  }
  for (const camera of station.cameras) {
    const held = new Set(camera.held());
    for (const [path, sha256] of camera.recorded) {
      const key = `${camera.serialNumber} ${path}`;
      const stored = digests.get(key) ?? [];
      if (stored.length > 1) found.push(`${key}: ${stored.length} rows`);
      if (stored.length > 0 && stored[0] !== sha256) found.push(`${key}: stored with another digest`);
      if (stored.length === 0 && !held.has(path)) found.push(`${key}: lost`);
    }
  }
  found.push(...filesNobodyKnows(remains).map((path) => `${path}: nobody knows it`));
  return found;
}

/** Each file of the vault is a recording with its sidecar, or belongs to one that is still under way. */
export function filesNobodyKnows(remains: StationRemains): string[] {
  const known = new Set([
    ...remains.recordings.map((row) => row['stored_path']),
    ...remains.intakes.flatMap(({ stored_path: path, recording_id: id }) => [
      path,
      `${String(path).replace(/[^/]*$/, '')}.part-${String(id)}`,
    ]),
  ]);
  return [...remains.files.keys()].filter(
    (path) => !known.has(path) && !known.has(path.replace(/\.json$/, '')),
  );
}

/** What must hold besides when everything is done and the agent was stopped. */
export function unfinished(remains: StationRemains): string[] {
  const found: string[] = [];
  // Each with its sidecar.
  if (remains.files.size !== 2 * remains.recordings.length) {
    found.push(`${remains.files.size} files of ${remains.recordings.length} recordings`);
  }
  found.push(...remains.intakes.map(({ stored_path: path }) => `${String(path)}: still under way`));
  found.push(...remains.removals.map(({ recording_id: id }) => `${String(id)}: removal still open`));
  found.push(
    ...remains.recordings
      .filter((row) => row['removed_at'] === null)
      .map(({ path }) => `${String(path)}: not removed`),
  );
  return [...found, ...accountViolations(remains)];
}

/** Promise 4: each session is closed and reported as it stands; together they stored everything once. */
function accountViolations({ sessions, events, recordings }: StationRemains): string[] {
  const found: string[] = [];
  const reports = events
    .filter(({ type }) => type === 'session-finished')
    .map(({ data }) => JSON.parse(String(data)));
  for (const session of sessions) {
    const [listed, ...parts] = ['listed', 'stored', 'held', 'quarantined', 'refused'].map((name) =>
      Number(session[name]),
    ) as [number, ...number[]];
    const open = listed - parts.reduce((sum, part) => sum + part, 0);
    const report = reports.filter(({ sessionId }) => sessionId === session['id']);
    const isSound =
      session['outcome'] !== null &&
      open >= 0 &&
      (session['outcome'] !== 'complete' || open === 0) &&
      report.length === 1 &&
      ['listed', 'stored', 'held', 'removed', 'outcome'].every((name) => report[0][name] === session[name]) &&
      report[0].unaccounted === open;
    if (!isSound) found.push(`account: ${JSON.stringify(session)} reported as ${JSON.stringify(report)}`);
  }
  const stored = sessions.reduce((sum, session) => sum + Number(session['stored']), 0);
  if (stored !== recordings.length)
    found.push(`sessions stored ${stored} of ${recordings.length} recordings`);
  return found;
}

/** Promise 5 as a subscriber sees it: every event in order without a gap; a repetition is the same event again. */
export function eventViolations(events: readonly Received[], remains: StationRemains): string[] {
  const found: string[] = [];
  const ids: unknown[] = [];
  for (const { body } of events) {
    const seq = Number(body['seq']);
    if (seq === ids.length + 1) ids.push(body['id']);
    else if (seq > ids.length) found.push(`event ${seq} came after ${ids.length}`);
    else if (ids[seq - 1] !== body['id']) found.push(`event ${seq} came twice as different events`);
  }
  if (ids.length !== remains.events.length)
    found.push(`${ids.length} of ${remains.events.length} events arrived`);
  for (const type of ['recording-stored', 'recording-removed']) {
    const about = remains.events.filter((event) => event['type'] === type);
    const recordings = new Set(about.map(({ data }) => JSON.parse(String(data)).recordingId));
    if (recordings.size !== remains.recordings.length || about.length !== recordings.size) {
      found.push(
        `${type}: ${about.length} events for ${recordings.size} of ${remains.recordings.length} recordings`,
      );
    }
  }
  return found;
}
