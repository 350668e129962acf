import type { SQLInputValue } from 'node:sqlite';
import { Database, type Row } from '../../agent/state/database.ts';
import type { Draws } from './draws.ts';
import type { Life } from './life.ts';

/** One change of a table, as far as the oracles care. */
export interface TableChange {
  readonly table: string;
  readonly values: readonly SQLInputValue[];
  readonly sql: string;
}

export interface DatabaseFaults {
  /** About one of N commits fails; 0 for none. */
  failOneIn: number;
}

/** The real database, whose every commit may fail, may kill the agent, and is told to whoever judges it. */
export class SimulatedDatabase extends Database {
  readonly #life: Life;
  readonly #faults: DatabaseFaults;
  readonly #draws: Draws;
  readonly #onCommit: (changes: readonly TableChange[]) => void;
  #depth = 0;
  #changes: TableChange[] = [];
  #isClosed = false;

  constructor(
    path: string,
    parts: {
      life: Life;
      faults: DatabaseFaults;
      draws: Draws;
      onCommit: (changes: readonly TableChange[]) => void;
    },
  ) {
    super(path);
    this.#life = parts.life;
    this.#faults = parts.faults;
    this.#draws = parts.draws;
    this.#onCommit = parts.onCommit;
  }

  override transaction<T>(work: () => T): T {
    // The constructor migrates before this class has its fields.
    if (!(#depth in this)) return super.transaction(work);
    this.#life.expectAlive();
    if (this.#depth > 0) return work();
    this.#depth++;
    this.#changes = [];
    try {
      return this.#life.operateNow('commit', () => {
        const result = super.transaction(() => {
          const done = work();
          if (this.#faults.failOneIn > 0 && this.#draws.below(this.#faults.failOneIn) === 0)
            throw diskFailed();
          return done;
        });
        this.#onCommit(this.#changes);
        return result;
      });
    } finally {
      this.#depth--;
    }
  }

  override run(sql: string, ...values: SQLInputValue[]): number {
    return this.transaction(() => {
      this.#note(sql, values);
      return super.run(sql, ...values);
    });
  }

  override get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    this.#life.expectAlive();
    if (!sql.startsWith('INSERT')) return super.get(sql, ...values);
    return this.transaction(() => {
      this.#note(sql, values);
      return super.get(sql, ...values);
    });
  }

  override all(sql: string, ...values: SQLInputValue[]): Row[] {
    this.#life.expectAlive();
    return super.all(sql, ...values);
  }

  #note(sql: string, values: readonly SQLInputValue[]): void {
    const table = /^(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)/.exec(sql)?.[1] ?? '';
    this.#changes.push({ table, sql, values });
  }

  override [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    super[Symbol.dispose]();
  }
}

/** As SQLite says SQLITE_IOERR_FSYNC. */
function diskFailed(): Error {
  return Object.assign(new Error('disk I/O error'), { errcode: 1034 });
}
