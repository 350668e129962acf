import { earliestStationAt } from '../clock/station-clock.ts';
import type { Config } from '../config/schema.ts';

export interface OutboxLimits {
  /** Whose receipt makes an event delivered: that of the broker, or that of a consumer behind it. */
  readonly receipt: 'broker' | 'consumer';
  readonly mostEvents: number;
  readonly mostBytes: number;
  readonly mostAgeMs: number;
  /** Waiting samples; of more the oldest are dropped. */
  readonly mostSamples: number;
}

/** `full`: nothing is removed from cameras any more; `overfull`: no session begins. */
export type Backlog = 'ok' | 'full' | 'overfull';

const dayMs = 24 * 3600 * 1000;
const overfullFactor = 1.25;
/** What was full stays so until it is drained to this part, lest a station at its limit change its mind all the time. */
const drainedPart = 0.8;

export function outboxLimits({ report }: Config): OutboxLimits {
  return {
    receipt: report.receipt,
    mostEvents: report.most_events,
    mostBytes: report.most_bytes,
    mostAgeMs: report.most_days * dayMs,
    mostSamples: report.most_samples,
  };
}

export const usualLimits: OutboxLimits = {
  receipt: 'broker',
  mostEvents: 1_000_000,
  mostBytes: 512 * 2 ** 20,
  mostAgeMs: 90 * dayMs,
  mostSamples: 10_000,
};

/** What the backlog is now; `before` is what it was. */
export function judgeBacklog(
  { mostEvents, mostBytes, mostAgeMs }: OutboxLimits,
  waiting: { events: number; bytes: number; oldestAt?: number },
  now: number,
  before: Backlog,
): Backlog {
  const { events, bytes, oldestAt = now } = waiting;
  // What was recorded while the clock was wrong is of unknown age.
  const ageMs = oldestAt < earliestStationAt ? 0 : now - oldestAt;
  const [byEvents, byBytes, byAge] = [events / mostEvents, bytes / mostBytes, ageMs / mostAgeMs];
  // Age fills no disk.
  if (Math.max(byEvents, byBytes) >= overfullFactor) return 'overfull';
  return Math.max(byEvents, byBytes, byAge) >= (before === 'ok' ? 1 : drainedPart) ? 'full' : 'ok';
}
