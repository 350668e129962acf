import { fstatSync } from 'node:fs';
import { pino } from 'pino';
import { asDockError } from '../protocol/errors.ts';

/** The closed list of what is logged; one line of JSON each, to be read by journald. */
export const logEvents = [
  'agent-started',
  'agent-stopping',
  'agent-stopped',
  'agent-stuck',
  'bay-failed',
  'bay-power-cycle-failed',
  'broker-connected',
  'broker-credentials-renewed',
  'broker-credentials-unusable',
  'broker-lost',
  'assignment-failed',
  'service-life-failed',
  'command-failed',
  'commands-dropped',
  'configuration-not-reloaded',
  'configuration-reloaded',
  'control-failed',
  'document-too-large',
  'flight-failed',
  'health-failed',
  'maintenance-failed',
  'nightly-done',
  'recovery-failed',
  'session-finished',
  'start-failed',
  'stop-failed',
  'stop-overdue',
  'vault-slow',
] as const;
export type LogEvent = (typeof logEvents)[number];

export interface Log {
  info(event: LogEvent, facts?: Readonly<Record<string, unknown>>): void;
  warn(event: LogEvent, facts?: Readonly<Record<string, unknown>>): void;
  /** `facts.error` is shown with its code, message and causes. */
  error(event: LogEvent, facts: Readonly<Record<string, unknown>>): void;
}

/**
 * JSON lines on standard error, written at once: nothing is lost when the process ends. Where the journal reads them
 * each begins with its priority (sd-daemon(3)), so that `journalctl -p warning` works.
 */
export function stderrLog(env: Readonly<Record<string, string | undefined>>): Log {
  const stderr = pino.destination({ dest: 2, sync: true });
  const logger = pino({ base: null }, isJournal(env) ? withPriority(stderr) : stderr);
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

/** Whether standard error is the very stream that the service manager connected to the journal (systemd.exec(5)). */
function isJournal(env: Readonly<Record<string, string | undefined>>): boolean {
  const { dev, ino } = fstatSync(2);
  return env['JOURNAL_STREAM'] === `${dev}:${ino}`;
}

const priorities = { info: 6, warn: 4, error: 3 };

function withPriority(stream: { write: (line: string) => unknown }): { write: (line: string) => void } {
  return {
    write: (line) => {
      const level = /^\{"level":(\d+)/.exec(line)?.[1];
      const name = pino.levels.labels[Number(level)] as keyof typeof priorities | undefined;
      stream.write(`<${name === undefined ? priorities.error : priorities[name]}>${line}`);
    },
  };
}
