import type { Database } from './database.ts';

/** Numbers that survive restarts. `event-sent`: up to which the broker has all events; `samples-dropped`: ever. */
export type CounterName = 'boot' | 'mqtt-session' | 'event-sent' | 'samples-dropped';

/** Adds one to a counter and returns the new value; the first is 1. */
export function nextCount(db: Database, name: CounterName): number {
  // In a transaction: the commit of a lone RETURNING statement fails unheard.
  const row = db.transaction(() =>
    db.get(
      `INSERT INTO counter (name, value) VALUES (?, 1)
       ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value`,
      name,
    ),
  );
  return Number(row?.['value']);
}

/** How many numbers are taken from the database at a time. */
const reserved = 100;

/**
 * Numbers that grow, also over restarts, with a write for a hundred of them. A database that takes nothing any more is
 * noticed long before they are used up, and goes on in memory then: a station must be able to say so.
 */
export class GrowingNumbers {
  readonly #db: Database;
  readonly #name: CounterName;
  #last = 0;
  #reservedUpTo = 0;

  constructor(db: Database, name: CounterName) {
    this.#db = db;
    this.#name = name;
  }

  /** Errors: those of the database, for the first of a run. */
  next(): number {
    if (this.#last === this.#reservedUpTo) this.#reserve();
    return ++this.#last;
  }

  #reserve(): void {
    try {
      this.#last = Math.max(this.#last, readCount(this.#db, this.#name));
      raiseCount(this.#db, this.#name, this.#last + reserved);
    } catch (error) {
      if (this.#last === 0) throw error;
    }
    this.#reservedUpTo = this.#last + reserved;
  }
}

/** 0 before it was ever raised. */
export function readCount(db: Database, name: CounterName): number {
  return Number(db.get('SELECT value FROM counter WHERE name = ?', name)?.['value'] ?? 0);
}

/** Lifts a counter to `value`; one that is higher stays. */
export function raiseCount(db: Database, name: CounterName, value: number): void {
  db.run(
    `INSERT INTO counter (name, value) VALUES (?, ?)
     ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)`,
    name,
    value,
  );
}
