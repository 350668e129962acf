import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  backup,
  DatabaseSync,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementSync,
} from 'node:sqlite';
import { DockError } from '../../protocol/errors.ts';
import { sha256 } from '../enrolment/audit-chain.ts';
import { applicationId, migrations } from './migrations.ts';

/** At a time; what comes in between waits for so many. */
const copiedPages = 256;

export type Row = Record<string, SQLOutputValue>;

/**
 * The station's SQLite database: WAL with full synchronisation, so that a transaction that returned survives a
 * power cut. Synchronous, one writer. Errors: `state.damaged` for a file that is no whole database and for nothing
 * else, `state.too-new`, `state.locked`, `state.unusable`, `vault.disk-full`, `vault.disk-error`.
 */
export class Database implements Disposable {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #isInTransaction = false;

  constructor(path: string) {
    makeFolder(dirname(path));
    this.#db = new DatabaseSync(path, { open: false, enableForeignKeyConstraints: true, timeout: 2000 });
    try {
      this.#open();
      this.#migrate();
    } catch (cause) {
      if (this.#db.isOpen) this.#db.close();
      throw openingError(path, cause);
    }
  }

  /** Runs `work` in one immediate transaction; nested calls join the outer one. */
  transaction<T>(work: () => T): T {
    if (this.#isInTransaction) return work();
    this.#db.exec('BEGIN IMMEDIATE');
    this.#isInTransaction = true;
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      // SQLite rolls back by itself on some errors, such as a full disk.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw storageError(error);
    } finally {
      this.#isInTransaction = false;
    }
  }

  /** The first row. A statement that writes and returns belongs in a transaction: only its commit tells. */
  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    try {
      return this.#statement(sql).get(...values);
    } catch (error) {
      throw storageError(error);
    }
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    try {
      return this.#statement(sql).all(...values);
    } catch (error) {
      throw storageError(error);
    }
  }

  /** Rows one by one, for results of unbounded length; not to be kept open across an await. */
  iterate(sql: string, ...values: SQLInputValue[]): Iterable<Row> {
    return this.#statement(sql).iterate(...values);
  }

  /** The number of rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    try {
      return Number(this.#statement(sql).run(...values).changes);
    } catch (error) {
      throw storageError(error);
    }
  }

  /** Copies all of it as it is now into a new file, a few pages at a time, while work goes on. */
  async copyTo(path: string): Promise<void> {
    await backup(this.#db, path, { rate: copiedPages });
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #open(): void {
    this.#db.open();
    this.#db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA trusted_schema = OFF;
      PRAGMA journal_size_limit = 16777216;
    `);
    this.#db.function('sha256', { deterministic: true, directOnly: true }, (text) => sha256(String(text)));
    const check = this.#db.prepare('PRAGMA quick_check(1)').get();
    if (check?.['quick_check'] !== 'ok') {
      throw new DockError('state.damaged', String(check?.['quick_check']).slice(0, 500));
    }
  }

  #migrate(): void {
    const version = Number(this.#db.prepare('PRAGMA user_version').get()?.['user_version']);
    if (version > migrations.length) {
      throw new DockError('state.too-new', `version ${version}, this agent knows ${migrations.length}`);
    }
    for (const [index, migration] of migrations.entries()) {
      if (index < version) continue;
      this.transaction(() => {
        this.#db.exec(migration);
        this.#db.exec(`PRAGMA user_version = ${index + 1}; PRAGMA application_id = ${applicationId}`);
      });
    }
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw new DockError('state.unusable', cause instanceof Error ? cause.message : folder, { cause });
  }
}

/** Only a file that is surely damaged may be called so: it will be set aside for its backup. */
function openingError(path: string, cause: unknown): unknown {
  const error = storageError(cause);
  if (error instanceof DockError) return error;
  const message = `${path}: ${error instanceof Error ? error.message : String(error)}`;
  switch (primaryCode(error)) {
    case 5: // SQLITE_BUSY
    case 6: // SQLITE_LOCKED
      return new DockError('state.locked', message, { cause });
    case 3: // SQLITE_PERM
    case 8: // SQLITE_READONLY
    case 14: // SQLITE_CANTOPEN
      return new DockError('state.unusable', message, { cause });
    default:
      return error;
  }
}

/** The file ended in the middle of a page. */
const shortRead = 522;

/** SQLITE_FULL and the I/O errors are the disk's fault; everything else is ours. */
function storageError(error: unknown): unknown {
  const primary = primaryCode(error);
  if (primary === undefined || !(error instanceof Error)) return error;
  if (primary === 13) return new DockError('vault.disk-full', 'database', { cause: error });
  if (primary === 11 || primary === 26 || ('errcode' in error && error.errcode === shortRead))
    return new DockError('state.damaged', error.message, { cause: error });
  if (primary === 10)
    return new DockError('vault.disk-error', `database: ${error.message}`, { cause: error });
  return error;
}

function primaryCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined;
  return Number(error.errcode) & 0xff;
}
