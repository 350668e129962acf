import { asDockError } from '../../protocol/errors.ts';
import type { Clock, RandomSource } from '../../dock/clock.ts';
import type { Log } from '../log.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Scrub } from '../vault/scrub.ts';
import type { DatabaseBackup, DatabaseBackups } from './backups.ts';
import type { Database } from './database.ts';
import { pruneHistory } from './prune.ts';

export interface MaintenanceParts {
  readonly db: Database;
  readonly outbox: Outbox;
  readonly backups: DatabaseBackups;
  readonly scrub: Scrub;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
  /** Hour of the day, UTC. */
  readonly hour: number;
}

const hourMs = 3600 * 1000;
const dayMs = 24 * hourMs;
/** How often it is looked whether something is due. */
const lookMs = 60_000;
/** A backup that failed is tried again after so long. */
const retryMs = hourMs;

/**
 * What a station does for itself at night, or at its start when that is overdue: forget what is old, back the database
 * up with all checks of it; and, whenever no camera is being emptied, read stored recordings back.
 */
export class Maintenance {
  readonly #parts: MaintenanceParts;
  #notBeforeMs = -Infinity;
  #reported: string | undefined;

  constructor(parts: MaintenanceParts) {
    this.#parts = parts;
  }

  /** Resolves when `signal` aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, scrub, log } = this.#parts;
    while (!signal.aborted) {
      try {
        if (await this.#isDue()) await this.#nightly(signal);
        await scrub.some(signal);
      } catch (error) {
        if (!signal.aborted) log.error('maintenance-failed', { error });
      }
      // Not all stations of a post at the same moment.
      const jitter = (random.bytes(1)[0] ?? 0) / 256;
      await clock.sleep(lookMs * (0.5 + jitter), signal).catch(() => undefined);
    }
  }

  /** The newest backup is older than the last time it should have been taken. */
  async #isDue(): Promise<boolean> {
    const { clock, backups, hour } = this.#parts;
    if (clock.monotonic() < this.#notBeforeMs) return false;
    const now = clock.now();
    const today = Math.floor(now / dayMs) * dayMs + hour * hourMs;
    const lastDueAt = today <= now ? today : today - dayMs;
    const [newest] = await backups.list();
    // One from the future is from a clock that was wrong.
    return newest === undefined || newest.takenAt < lastDueAt || newest.takenAt > now + dayMs;
  }

  async #nightly(signal: AbortSignal): Promise<void> {
    const { db, outbox, clock, scrub, log } = this.#parts;
    this.#notBeforeMs = clock.monotonic() + retryMs;
    const pruned = pruneHistory(db, Math.floor(clock.now()));
    outbox.prune();
    const backup = await this.#backUp();
    log.info('nightly-done', { ...pruned, ...(backup && { backup: backup.path, bytes: backup.sizeBytes }) });
    await scrub.report(signal);
  }

  async #backUp(): Promise<DatabaseBackup | undefined> {
    const { db, outbox, backups } = this.#parts;
    try {
      const backup = await backups.take((path) => db.copyTo(path));
      outbox.record('database-backed-up', { file: backup.path, sizeBytes: backup.sizeBytes });
      this.#reported = undefined;
      return backup;
    } catch (error) {
      const { code, message } = asDockError(error);
      if (this.#reported !== code) outbox.record('database-problem', { code, detail: message.slice(0, 500) });
      this.#reported = code;
      return undefined;
    }
  }
}
