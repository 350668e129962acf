import { normEditions, type NormEdition, type NormItem } from '../../protocol/norm/editions.ts';
import type { AuditRecord } from '../../protocol/norm/audit-record.ts';
import type { Quota } from '../../protocol/norm/quota.ts';
import { printable } from './output.ts';
import type { Language } from './words/language.ts';
import { citations, normWords } from './words/norm-words.ts';

/** How the norm comes to its number, and what it means with so many enrolled. */
export function explainQuota(quota: Quota & { readonly enrolled?: number }, language: Language): string {
  const words = normWords[language];
  const { headcount, quota: sets, enrolled } = quota;
  const lines =
    quota.row === 0
      ? [words.noWorkers]
      : [words.allowed({ headcount, sets }), rowOf(quota.editionId, quota.row, language)];
  lines.push(cited(quota, language));
  if (enrolled !== undefined) {
    const surplus = enrolled - sets;
    if (surplus > 0) lines.push(words.above({ enrolled, surplus }));
    else if (surplus === 0) lines.push(words.full({ enrolled, sets }));
    else lines.push(words.free({ enrolled, free: -surplus }));
  }
  return lines.join('\n');
}

/** What was decided, by whom, and the rule and numbers that it followed from. */
export function explainDecision(record: AuditRecord, language: Language): string {
  const words = normWords[language];
  const { number, station, by, act, serialNumber = '', headcount, enrolled, quota: sets, reason } = record;
  const kind = act === 'enrolled' || act === 'refused' || act === 'retired' ? act : 'other';
  const { assignmentNumber, item = 'camera' } = record;
  const decided = words.decided({
    number,
    at: record.at.slice(0, 19).replace('T', ' '),
    station,
    by: printable(by),
  });
  const because = reason === '' ? [] : [words.because({ why: printable(reason) })];
  if (item === 'computer') {
    const done = words.computerActs[kind]({ computer: serialNumber });
    return [
      decided,
      done,
      ...because,
      words.computerRow,
      words.takenBefore({ enrolled, sets }),
      cited(record, language),
    ].join('\n');
  }
  return [
    decided,
    words.acts[kind]({ camera: serialNumber }),
    ...because,
    assignmentNumber === undefined
      ? words.headcountUnsigned({ headcount })
      : words.headcountSigned({ headcount, number: assignmentNumber }),
    record.row === 0 ? words.noWorkers : rowOf(record.editionId, record.row, language),
    words.takenBefore({ enrolled, sets }),
    cited(record, language),
  ].join('\n');
}

function rowOf(editionId: string, row: number, language: Language): string {
  const words = normWords[language];
  const rows = editionOf(editionId)?.camera.rows ?? [];
  const [before, own] = [rows[row - 2], rows[row - 1]];
  if (!own) return `${editionId}, ${row}`;
  const { upTo, sets } = own;
  const from = before?.upTo;
  if (upTo === undefined) return words.lastRow({ row, from: from ?? 0, sets });
  return from === undefined
    ? words.firstRow({ row, upTo, sets })
    : words.middleRow({ row, from, upTo, sets });
}

function cited(
  {
    editionId,
    citation,
    item = 'camera',
  }: { editionId: string; citation: string; item?: NormItem | undefined },
  language: Language,
): string {
  const translated = citations[language][editionId]?.(item === 'camera' ? 1 : 2);
  return translated ?? (citation || (editionOf(editionId)?.[item].citation ?? editionId));
}

function editionOf(id: string): NormEdition | undefined {
  return normEditions.find((edition) => edition.id === id);
}
