import { errorCatalogue, type ErrorCode } from '../../protocol/error-catalogue.ts';
import type { AlarmMessage } from '../../protocol/mqtt/documents.ts';
import type { Clock } from '../../dock/clock.ts';
import type { HealthProblem } from '../health/assess.ts';
import type { Database } from '../state/database.ts';
import type { Outbox } from './outbox.ts';

interface AlarmParts {
  readonly db: Database;
  readonly outbox: Outbox;
  readonly clock: Clock;
}

const mostSubjects = 100;
/** Of all alarms, so that no camera can fill the table. */
const mostAlarms = 1000;
const longestDetail = 500;

/**
 * What stands and was told, kept over restarts: each is told when it begins, when its level changes, and when it ends.
 */
export class Alarms {
  readonly #parts: AlarmParts;
  readonly #listeners = new Set<(code: string) => void>();

  constructor(parts: AlarmParts) {
    this.#parts = parts;
  }

  onChange(listener: (code: string) => void): void {
    this.#listeners.add(listener);
  }

  /** These are all problems there are. What is not `known` yet, since a restart, stays as it was. */
  settle(problems: readonly HealthProblem[], isKnown: (code: string, subject: string) => boolean): void {
    const { db, outbox, clock } = this.#parts;
    const now = new Map(problems.slice(0, mostAlarms).map((problem) => [keyOf(problem), problem]));
    const before = new Map(
      db
        .all('SELECT code, subject, level, detail FROM alarm')
        .map((row) => ({
          code: String(row['code']),
          subject: String(row['subject']),
          level: String(row['level']),
          detail: String(row['detail']),
        }))
        .map((row) => [keyOf(row), row]),
    );
    const changed = new Set<string>();
    db.transaction(() => {
      for (const [key, { code, subject, level, detail: whole }] of now) {
        const detail = whole.slice(0, longestDetail);
        const known = before.get(key);
        if (known?.level === level && known.detail === detail) continue;
        changed.add(code);
        db.run(
          `INSERT INTO alarm (code, subject, level, since, detail) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (code, subject) DO UPDATE SET level = excluded.level, detail = excluded.detail`,
          code,
          subject,
          level,
          Math.floor(clock.now()),
          detail,
        );
        // What stands with other numbers is no news, but its document tells them.
        if (known?.level !== level) outbox.record('alarm-raised', { code, subject, level, detail });
      }
      for (const [key, { code, subject }] of before) {
        if (now.has(key) || !isKnown(code, subject)) continue;
        db.run('DELETE FROM alarm WHERE code = ? AND subject = ?', code, subject);
        outbox.record('alarm-cleared', { code, subject });
        changed.add(code);
      }
    });
    for (const code of changed) for (const listener of this.#listeners) listener(code);
  }

  codes(): string[] {
    return this.#parts.db.all('SELECT DISTINCT code FROM alarm').map((row) => String(row['code']));
  }

  /** Undefined where none of this code stands. */
  document(code: string): Omit<AlarmMessage, 'v' | 'ts' | 'seq'> | undefined {
    const rows = this.#parts.db.all('SELECT * FROM alarm WHERE code = ? ORDER BY since', code);
    const [first] = rows;
    if (!first) return undefined;
    const { meaning, nextStep } = errorCatalogue[code as ErrorCode] ?? { meaning: code, nextStep: '' };
    return {
      code,
      level: rows.some((row) => row['level'] === 'critical') ? 'critical' : 'warning',
      since: new Date(Number(first['since'])).toISOString(),
      meaning,
      nextStep,
      subjects: rows
        .slice(0, mostSubjects)
        .map((row) => ({ subject: String(row['subject']), detail: String(row['detail']).slice(0, 100) })),
    };
  }
}

function keyOf({ code, subject }: { code: string; subject: string }): string {
  return `${code} ${subject}`;
}
