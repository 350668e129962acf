import { errorCatalogue, type ErrorCode } from '../../protocol/error-catalogue.ts';
import type { QuotaUsage } from './register.ts';

/** Names the rule, the numbers and the act. The function dock.turn_away of the shared register says the same. */
export function refusalReason(code: ErrorCode, usage: QuotaUsage): string {
  const { meaning } = errorCatalogue[code];
  const taken = `${meaning}: ${usage.enrolled} of ${usage.quota} sets are taken`;
  if (usage.item === 'computer') return `${taken}, ${usage.citation}`;
  const headcount = usage.isHeadcountKnown ? `headcount ${usage.headcount}` : 'headcount unknown';
  const rule = usage.row === 0 ? 'no row applies' : `row ${usage.row}`;
  return `${taken}, ${headcount}, ${rule} of ${usage.citation}`;
}
