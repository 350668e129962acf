import type { Database } from './database.ts';

/** Adds one to a counter that survives restarts and returns the new value; the first is 1. */
export function nextCount(db: Database, name: 'boot' | 'mqtt-session'): number {
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
