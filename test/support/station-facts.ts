import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { expect } from 'vitest';
import type { RecordingsAnswer } from '../../agent/cli/answers.ts';
import type { MemoryStore } from '../../dock/simulator/recording-store.ts';
import type { TestStation } from './test-station.ts';

/** Every finished session adds up, and only an interrupted one leaves anything open. */
export async function expectAccountsAddUp(station: TestStation): Promise<void> {
  for (const session of await station.sessions()) {
    const { listed, stored, held, quarantined, refused, unaccounted, outcome } = session;
    expect(stored + held + quarantined + refused + unaccounted, JSON.stringify(session)).toBe(listed);
    expect(unaccounted, JSON.stringify(session)).toBeGreaterThanOrEqual(0);
    if (outcome === 'complete' || outcome === 'refused') expect(unaccounted).toBe(0);
  }
}

/** Exactly these recordings are in catalogue and vault, once each and bit for bit; gives the catalogue's rows. */
export async function expectStoredOnce(
  station: TestStation,
  expected: Readonly<Record<string, string>>,
): Promise<RecordingsAnswer['recordings']> {
  const { recordings, vault } = await station.ask<RecordingsAnswer>('recordings', { limit: 1000 });
  const stored = recordings.map(({ path, sha256 }) => `${sha256} ${path}`).toSorted();
  expect(stored).toEqual(
    Object.entries(expected)
      .map(([path, sha256]) => `${sha256} ${path}`)
      .toSorted(),
  );
  for (const { storedPath, sha256 } of recordings) {
    const file = resolve(vault, storedPath);
    expect(file.startsWith(`${resolve(vault)}/`)).toBe(true);
    expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(sha256);
  }
  expect(vaultFiles(vault)).toHaveLength(recordings.length);
  return recordings;
}

/** Recordings in the vault: parts of pulls under way, sidecars and backups of the database left out. */
export function vaultFiles(vault: string): string[] {
  return readdirSync(vault, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.part-') && !entry.name.endsWith('.json'))
    .filter((entry) => !entry.parentPath.endsWith('/.database'))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Rows of the station's database, read beside the running agent. */
export function rows(
  station: TestStation,
  sql: string,
  ...values: SQLInputValue[]
): Record<string, unknown>[] {
  const db = new DatabaseSync(join(station.folder, 'station.db'), { readOnly: true });
  try {
    return db.prepare(sql).all(...values);
  } finally {
    db.close();
  }
}

/** The events of one type, oldest first. */
export async function eventsOf(
  station: TestStation,
  type: string,
): Promise<Readonly<Record<string, unknown>>[]> {
  return (await station.events()).filter((event) => event.type === type).map(({ data }) => data);
}

/** Path to digest of everything in a store right now. */
export function digestsOf(held: {
  store: MemoryStore;
  sha256: (path: string) => string;
}): Record<string, string> {
  return Object.fromEntries(held.store.list().map(({ path }) => [path, held.sha256(path)]));
}
