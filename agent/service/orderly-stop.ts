import type { Clock } from '../../dock/clock.ts';
import type { Log } from '../log.ts';

/** One step of the way down; `ms` is the longest it is waited for. */
export interface StopStep {
  readonly what: string;
  readonly ms: number;
  readonly run: () => Promise<unknown>;
}

/**
 * Takes the steps in order, and goes on when one hangs or fails: everything that matters is durable already, and the
 * process is about to end. Never rejects; takes no longer than the limits of its steps together.
 */
export async function stopInOrder(steps: readonly StopStep[], clock: Clock, log: Log): Promise<void> {
  for (const { what, ms, run } of steps) {
    const settled = new AbortController();
    const step = Promise.try(run)
      .catch((error: unknown) => log.error('stop-failed', { what, error }))
      .finally(() => settled.abort());
    const late = clock.sleep(ms, settled.signal).then(
      () => log.warn('stop-overdue', { what, ms }),
      () => undefined,
    );
    await Promise.race([step, late]);
  }
}
