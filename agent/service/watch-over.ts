import type { Clock } from '../../dock/clock.ts';
import type { Log } from '../log.ts';
import type { Database } from '../state/database.ts';
import type { Progress } from './progress.ts';
import type { Supervisor } from './supervisor.ts';

const statusEveryMs = 10_000;

/**
 * Tells the supervisor that the agent is alive as long as all of it is: the event loop by coming round to this, the
 * database by answering, each loop by its own word. What is stuck gets named, and a restart. Never rejects.
 */
export async function watchOver(
  parts: {
    readonly supervisor: Supervisor;
    readonly clock: Clock;
    readonly log: Log;
    readonly db: Database;
    readonly loops: readonly Progress[];
    readonly statusLine: () => string;
  },
  signal: AbortSignal,
): Promise<void> {
  const { supervisor, clock, log } = parts;
  const everyMs = Math.min((supervisor.watchdogMs ?? Infinity) / 3, statusEveryMs);
  let named = '';
  while (!signal.aborted) {
    const stuck = whatIsStuck(parts).join(', ');
    if (stuck === '') supervisor.alive();
    else if (stuck !== named) log.warn('agent-stuck', { stuck });
    named = stuck;
    supervisor.status(stuck === '' ? parts.statusLine() : `Stuck, to be restarted: ${stuck}`);
    await clock.sleep(everyMs, signal).catch(() => undefined);
  }
}

function whatIsStuck({ db, loops }: { db: Database; loops: readonly Progress[] }): string[] {
  const stuck = loops.filter(({ isOverdue }) => isOverdue).map(({ name }) => name);
  try {
    db.get('SELECT value FROM counter LIMIT 1');
  } catch {
    stuck.push('database');
  }
  return stuck;
}
