import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { Clock } from '../../dock/clock.ts';
import type { Database } from '../state/database.ts';

/** How often one camera failed in one bay in one way. */
export interface FaultCount {
  readonly bay: number;
  /** Empty for a device that never said who it is. */
  readonly serialNumber: string;
  readonly code: string;
  readonly count: number;
  /** UTC milliseconds. */
  readonly firstAt: number;
  readonly lastAt: number;
}

/** Who is to blame, as far as the counts can tell. */
export type Verdict =
  /** These cameras failed in the bay and did well in others. */
  | { readonly kind: 'bay'; readonly bay: number; readonly cameras: readonly string[] }
  /** The camera failed in these bays, where others did well. */
  | { readonly kind: 'camera'; readonly serialNumber: string; readonly bays: readonly number[] };

const mostRows = 10_000;
const consideredMs = 30 * 24 * 3600 * 1000;
/** One failure proves nothing: so many different counterparts must have been seen failing. */
const leastWitnesses = 2;

/** Counts what went wrong between bays and cameras, so that the one can be told from the other. */
export class FaultLog {
  readonly #db: Database;
  readonly #clock: Clock;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  count(bay: number, serialNumber: string, code: ErrorCode): void {
    const now = Math.floor(this.#clock.now());
    this.#db.transaction(() => {
      this.#db.run(
        `INSERT INTO fault (bay, serial_number, code, count, first_at, last_at) VALUES (?, ?, ?, 1, ?, ?)
         ON CONFLICT DO UPDATE SET count = count + 1, last_at = excluded.last_at`,
        bay,
        serialNumber,
        code,
        now,
        now,
      );
      this.#db.run(
        `DELETE FROM fault WHERE (bay, serial_number, code) IN
           (SELECT bay, serial_number, code FROM fault ORDER BY last_at DESC LIMIT -1 OFFSET ?)`,
        mostRows,
      );
    });
  }

  /** Latest first. */
  list(): FaultCount[] {
    return this.#db.all('SELECT * FROM fault ORDER BY last_at DESC').map((row) => ({
      bay: Number(row['bay']),
      serialNumber: String(row['serial_number']),
      code: String(row['code']),
      count: Number(row['count']),
      firstAt: Number(row['first_at']),
      lastAt: Number(row['last_at']),
    }));
  }

  /** From the faults and the finished sessions of the last thirty days. */
  verdicts(): Verdict[] {
    const since = Math.floor(this.#clock.now()) - consideredMs;
    const successes = this.#db.all(
      `SELECT DISTINCT bay, serial_number FROM docking_session WHERE outcome = 'complete' AND ended_at >= ?`,
      since,
    );
    return blame(
      this.list().filter(({ lastAt }) => lastAt >= since),
      successes.map((row) => ({ bay: Number(row['bay']), serialNumber: String(row['serial_number']) })),
    );
  }
}

interface Meeting {
  readonly bay: number;
  readonly serialNumber: string;
}

/**
 * A bay is to blame when several cameras failed in it that do well elsewhere; a camera when it failed in several
 * bays where others do well.
 */
export function blame(faults: readonly Meeting[], successes: readonly Meeting[]): Verdict[] {
  const named = faults.filter(({ serialNumber }) => serialNumber !== '');
  const verdicts: Verdict[] = [];
  for (const bay of new Set(named.map((fault) => fault.bay))) {
    const failing = new Set(named.filter((fault) => fault.bay === bay).map((fault) => fault.serialNumber));
    const fineElsewhere = [...failing].filter((serialNumber) =>
      successes.some((success) => success.serialNumber === serialNumber && success.bay !== bay),
    );
    if (fineElsewhere.length < leastWitnesses) continue;
    verdicts.push({ kind: 'bay', bay, cameras: fineElsewhere });
  }
  for (const serialNumber of new Set(named.map((fault) => fault.serialNumber))) {
    const failing = new Set(named.filter((f) => f.serialNumber === serialNumber).map((fault) => fault.bay));
    const fineForOthers = [...failing].filter((bay) =>
      successes.some((success) => success.bay === bay && success.serialNumber !== serialNumber),
    );
    if (fineForOthers.length < leastWitnesses) continue;
    verdicts.push({ kind: 'camera', serialNumber, bays: fineForOthers });
  }
  return verdicts;
}
