import { pino } from 'pino';
import { asDockError } from '../protocol/errors.ts';

/** The closed list of what is logged; one line of JSON each, to be read by journald. */
export const logEvents = [
  'agent-started',
  'agent-stopping',
  'agent-stopped',
  'bay-failed',
  'broker-connected',
  'broker-lost',
  'control-failed',
  'session-finished',
] as const;
export type LogEvent = (typeof logEvents)[number];

export interface Log {
  info(event: LogEvent, facts?: Readonly<Record<string, unknown>>): void;
  warn(event: LogEvent, facts?: Readonly<Record<string, unknown>>): void;
  /** `facts.error` is shown with its code, message and causes. */
  error(event: LogEvent, facts: Readonly<Record<string, unknown>>): void;
}

/** JSON lines on standard error, written at once: nothing is lost when the process ends. */
export function stderrLog(): Log {
  const logger = pino({ base: null }, pino.destination({ dest: 2, sync: true }));
  const line = (event: LogEvent, facts: Readonly<Record<string, unknown>> = {}): object => {
    if (!('error' in facts)) return { event, ...facts };
    const { code, message, stack } = asDockError(facts['error']);
    return { event, ...facts, error: { code, message, stack } };
  };
  return {
    info: (event, facts) => logger.info(line(event, facts)),
    warn: (event, facts) => logger.warn(line(event, facts)),
    error: (event, facts) => logger.error(line(event, facts)),
  };
}
