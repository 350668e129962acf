import { join } from 'node:path';
import { asDockError } from '../../protocol/errors.ts';
import type { Clock } from '../../dock/clock.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database, Row } from '../state/database.ts';
import { catalogueEntry } from './catalogue.ts';
import { completeCatalogue } from './complete-catalogue.ts';
import type { Disk } from './disk.ts';
import { describeStored, sidecarPath, writeSidecar } from './sidecar.ts';
import type { Vault } from './vault.ts';

export interface ScrubParts {
  readonly db: Database;
  readonly outbox: Outbox;
  readonly disk: Disk;
  readonly vault: Vault;
  readonly clock: Clock;
  /** True while a camera is being emptied: that comes first. */
  readonly isBusy: () => boolean;
  /** It reads no faster than this. */
  readonly bytesPerSecond: number;
  /** A recording is read back when it was not for so long. */
  readonly everyMs: number;
}

/** One call ends after so long, so that what else is due gets its turn. */
const longestMs = 600_000;

/**
 * Reads stored recordings back, the one first that waits longest, at a slow pace. What is damaged or missing is
 * reported and stays as it is; where it goes on follows from the catalogue.
 */
export class Scrub {
  readonly #parts: ScrubParts;
  #verified = 0;
  #problems = 0;
  /** Reported since the start, by recording: a standing problem is an event once a start. */
  readonly #reported = new Map<string, number>();

  constructor(parts: ScrubParts) {
    this.#parts = parts;
  }

  /** Reads back what is due until it is done, time is up or a camera is being emptied. */
  async some(signal: AbortSignal): Promise<void> {
    const { clock, isBusy } = this.#parts;
    const deadline = clock.monotonic() + longestMs;
    for (let row = this.#due(); row && !isBusy() && clock.monotonic() < deadline; row = this.#due()) {
      signal.throwIfAborted();
      await this.#one(row, signal);
    }
  }

  /** Compares names and sizes of all files with the catalogue, and reports what was found since the last time. */
  async report(signal: AbortSignal): Promise<void> {
    const { db, disk, vault, outbox } = this.#parts;
    const { missing, unreadable, unknown, examples } = await completeCatalogue(
      { db, disk, folder: vault.folder },
      { signal },
    );
    const unknownFiles = missing + unreadable + unknown;
    const oldest = db.get('SELECT min(coalesce(verified_at, stored_at)) AS at FROM recording')?.['at'];
    if (unknownFiles > 0) {
      const detail = examples.join(', ').slice(0, 500);
      outbox.record('vault-problem', { code: 'vault.file-unknown', detail });
    }
    outbox.record('vault-checked', {
      verified: this.#verified,
      problems: this.#problems,
      unknownFiles,
      ...(typeof oldest === 'number' && { oldestVerifiedAt: oldest }),
    });
    this.#verified = 0;
    this.#problems = 0;
  }

  #due(): Row | undefined {
    const { db, clock, everyMs } = this.#parts;
    const now = Math.floor(clock.now());
    return db
      .all(
        `SELECT * FROM recording WHERE coalesce(verified_at, stored_at) <= ?
         ORDER BY coalesce(verified_at, stored_at) LIMIT ?`,
        now - everyMs,
        this.#reported.size + 1,
      )
      .find((row) => now - (this.#reported.get(String(row['id'])) ?? -Infinity) >= everyMs);
  }

  async #one(row: Row, signal: AbortSignal): Promise<void> {
    const { db, outbox, vault, clock } = this.#parts;
    const entry = catalogueEntry(row);
    try {
      await vault.verify(entry, signal, (bytes) => this.#pace(bytes, signal));
      await this.#completeSidecar(entry.id, join(vault.folder, entry.storedPath));
      db.run('UPDATE recording SET verified_at = ? WHERE id = ?', Math.floor(clock.now()), entry.id);
      this.#verified++;
    } catch (error) {
      signal.throwIfAborted();
      const { code } = asDockError(error);
      if (!code.startsWith('vault.')) throw error;
      this.#problems++;
      this.#reported.set(entry.id, clock.now());
      outbox.record('vault-problem', { code, detail: entry.storedPath });
    }
  }

  /** Recordings of the time before there were sidecars get theirs once they are known to be whole. */
  async #completeSidecar(id: string, finalPath: string): Promise<void> {
    const { db, disk } = this.#parts;
    if ((await disk.size(sidecarPath(finalPath))) !== undefined) return;
    const sidecar = describeStored(db, id);
    if (sidecar) await writeSidecar(disk, finalPath, sidecar);
  }

  async #pace(bytes: number, signal: AbortSignal): Promise<void> {
    const { clock, bytesPerSecond } = this.#parts;
    await clock.sleep((bytes / bytesPerSecond) * 1000, signal);
  }
}
