import type { Clock } from '../dock/clock.ts';
import type { Log, LogEvent } from './log.ts';

const windowMs = 60_000;
const linesPerWindow = 20;

type Facts = Readonly<Record<string, unknown>>;

/**
 * A log that a storm does not fill: of one event of one bay at most so many lines a minute. The next line that is
 * written says how many were left out (`unlogged`).
 */
export function limitLog(log: Log, clock: Pick<Clock, 'monotonic'>): Log {
  const windows = new Map<string, { startedMs: number; lines: number; unlogged: number }>();

  function limited(event: LogEvent, facts: Facts | undefined, write: (facts: Facts) => void): void {
    const key = `${event} ${JSON.stringify(facts?.['bay'])}`;
    const nowMs = clock.monotonic();
    const window = windows.get(key);
    if (!window || nowMs - window.startedMs >= windowMs) {
      windows.set(key, { startedMs: nowMs, lines: 1, unlogged: 0 });
      write({ ...facts, ...(window && window.unlogged > 0 && { unlogged: window.unlogged }) });
    } else if (window.lines < linesPerWindow) {
      window.lines++;
      write({ ...facts });
    } else {
      window.unlogged++;
    }
  }

  return {
    info: (event, facts) => limited(event, facts, (taken) => log.info(event, taken)),
    warn: (event, facts) => limited(event, facts, (taken) => log.warn(event, taken)),
    error: (event, facts) => limited(event, facts, (taken) => log.error(event, taken)),
  };
}
