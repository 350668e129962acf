import type { HealthProblem } from '../health/assess.ts';
import type { StationRegister } from './register.ts';

/** A server that is started again, or fails over, is back within this. */
const toleratedMs = 60_000;

/** A shared register that has not answered for a while: new cameras are refused, and retirements wait. */
export function registerAway(
  register: Pick<StationRegister, 'away' | 'knownUsage'>,
  now: number,
): HealthProblem[] {
  const since = register.away?.();
  if (since === undefined || now - since < toleratedMs) return [];
  const { copiedAt } = register.knownUsage();
  const copy = copiedAt === undefined ? 'nothing of it is known here' : `known as of ${iso(copiedAt)}`;
  const detail = `no answer since ${iso(since)}; ${copy}`;
  return [{ level: 'warning', code: 'enrolment.register-unreachable', subject: '', detail }];
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
