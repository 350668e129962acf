import { DockError } from '../../protocol/errors.ts';
import type { CommandRequest } from '../../protocol/mqtt/commands.ts';
import type { Database } from '../state/database.ts';

/** More than are taken in the hour that a request is good for at most: what is forgotten is refused as expired. */
const mostKept = 7500;
/** What only tells may be longer. It is told afresh, so that many of these cannot fill the disk. */
const mostKeptBytes = 4096;

/** What commands were answered, by the ids of their requests, over restarts. */
export class CommandAnswers {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Undefined for a request that was never answered. Errors: `command.id-reused` where another one had its id. */
  find(command: string, { id, by }: Pick<CommandRequest, 'id' | 'by'>): string | undefined {
    const row = this.#db.get('SELECT name, requested_by, answer FROM command WHERE id = ?', id);
    if (!row) return undefined;
    if (row['name'] === command && row['requested_by'] === by) return String(row['answer']);
    throw new DockError('command.id-reused', id);
  }

  /** To be called in the transaction of the event that tells of it. */
  keep({
    id,
    command,
    by,
    at,
    response,
  }: {
    id: string;
    command: string;
    by: string;
    at: number;
    response: string;
  }): void {
    if (Buffer.byteLength(response) > mostKeptBytes) return;
    this.#db.run(
      'INSERT INTO command (id, name, requested_by, at, answer) VALUES (?, ?, ?, ?, ?)',
      id,
      command,
      by,
      at,
      response,
    );
    this.#db.run('DELETE FROM command WHERE rowid <= (SELECT max(rowid) FROM command) - ?', mostKept);
  }
}
