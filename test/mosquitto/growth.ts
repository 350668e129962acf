import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'vitest';
import type { ReportingStation } from '../report/reporting-station.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

interface Size {
  readonly heapBytes: number;
  /** Sockets, timers and the like that are open. */
  readonly resources: number;
  readonly rows: number;
}

/** What may pile up while a fault lasts. */
export class Growth {
  readonly #station: ReportingStation;
  readonly #before: Size;

  private constructor(station: ReportingStation) {
    this.#station = station;
    this.#before = sizeOf(station);
  }

  static of(station: ReportingStation): Growth {
    return new Growth(station);
  }

  /** `rows`: how many events were recorded since, which are kept. */
  expectNone({ rows }: { rows: number }): void {
    const now = sizeOf(this.#station);
    expect(now.rows - this.#before.rows).toBeLessThanOrEqual(rows + 5);
    expect(now.resources - this.#before.resources).toBeLessThanOrEqual(5);
    expect(now.heapBytes - this.#before.heapBytes).toBeLessThan(4 * 2 ** 20);
  }
}

function sizeOf({ db }: ReportingStation): Size {
  collect();
  const tables = db.all(`SELECT name FROM sqlite_schema WHERE type = 'table'`);
  const rows = tables.map(({ name }) => Number(db.get(`SELECT count(*) AS n FROM "${String(name)}"`)?.['n']));
  return {
    heapBytes: process.memoryUsage().heapUsed,
    resources: process.getActiveResourcesInfo().length,
    rows: rows.reduce((sum, count) => sum + count, 0),
  };
}
