import { readdirSync, readFileSync } from 'node:fs';
import type { ClientBase } from 'pg';
import { errorCatalogue } from '../../protocol/error-catalogue.ts';
import { DockError } from '../../protocol/errors.ts';
import { normEditions, normItem } from '../../protocol/norm/editions.ts';

const folder = new URL('register-schema/', import.meta.url);

/**
 * Brings the database of a shared register to the present schema, in one transaction, as the role that will own it;
 * running it again changes nothing but the norms and the wording of refusals. Never change a file that was released: add
 * another. The role `dock_station`, which all stations are members of, has to exist. Returns what was applied. Errors:
 * `state.too-new`.
 */
export async function migrateRegister(client: ClientBase): Promise<string[]> {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort();
  await client.query('BEGIN');
  try {
    await client.query(`
      SELECT pg_advisory_xact_lock(${0x646f636b});
      CREATE SCHEMA IF NOT EXISTS dock;
      CREATE TABLE IF NOT EXISTS dock.migration (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
    `);
    const { rows } = await client.query<{ name: string }>('SELECT name FROM dock.migration');
    const applied = new Set(rows.map(({ name }) => name));
    const unknown = [...applied].filter((name) => !files.includes(name));
    if (unknown.length > 0) throw new DockError('state.too-new', unknown.join(', '));
    const missing = files.filter((file) => !applied.has(file));
    for (const name of missing) {
      await client.query(readFileSync(new URL(name, folder), 'utf8'));
      await client.query('INSERT INTO dock.migration (name) VALUES ($1)', [name]);
    }
    await writeNorms(client);
    await client.query('COMMIT');
    return missing;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

/** The database decides by the same editions as the program, and refuses in the same words. */
async function writeNorms(client: ClientBase): Promise<void> {
  const rows = normEditions.flatMap((edition) =>
    normItem.options.flatMap((item) =>
      edition[item].rows.map(({ row, upTo, sets }) => ({
        edition: edition.id,
        effective_from: edition.effectiveFrom,
        item,
        citation: edition[item].citation,
        norm_row: row,
        up_to: upTo ?? null,
        sets,
      })),
    ),
  );
  await client.query(
    `INSERT INTO dock.norm SELECT * FROM jsonb_populate_recordset(NULL::dock.norm, $1)
     ON CONFLICT (edition, item, norm_row) DO UPDATE SET effective_from = excluded.effective_from,
       citation = excluded.citation, up_to = excluded.up_to, sets = excluded.sets`,
    [JSON.stringify(rows)],
  );
  const refusals = Object.entries(errorCatalogue)
    .filter(([code]) => code.startsWith('enrolment.'))
    .map(([code, { meaning }]) => ({ code, meaning }));
  await client.query(
    `INSERT INTO dock.refusal SELECT * FROM jsonb_populate_recordset(NULL::dock.refusal, $1)
     ON CONFLICT (code) DO UPDATE SET meaning = excluded.meaning`,
    [JSON.stringify(refusals)],
  );
}
