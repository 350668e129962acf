import type { SQLInputValue } from 'node:sqlite';
import { Database, type Row } from '../../agent/state/database.ts';

/** Called around every durable change; `n` counts them from 1. One that throws makes the change fail. */
export interface CommitPlan {
  /** Everything is done but the commit. */
  readonly before?: (n: number) => void;
  /** The change is durable. */
  readonly after?: (n: number) => void;
}

/** The real database with a hook before and after each commit, of a transaction or of a statement on its own. */
export class FaultDatabase extends Database {
  plan: CommitPlan = {};
  commits = 0;
  #depth = 0;

  override transaction<T>(work: () => T): T {
    // The constructor migrates before this class has its fields.
    if (!(#depth in this)) return super.transaction(work);
    if (this.#depth > 0) return work();
    let n = 0;
    this.#depth++;
    try {
      const result = super.transaction(() => {
        const done = work();
        n = ++this.commits;
        this.plan.before?.(n);
        return done;
      });
      this.plan.after?.(n);
      return result;
    } finally {
      this.#depth--;
    }
  }

  override run(sql: string, ...values: SQLInputValue[]): number {
    return this.transaction(() => super.run(sql, ...values));
  }

  override get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    if (!sql.startsWith('INSERT')) return super.get(sql, ...values);
    return this.transaction(() => super.get(sql, ...values));
  }
}
