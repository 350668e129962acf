import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ChainCheck,
  linkBehind,
  noRecords,
  type AuditHead,
  type AuditLink,
} from '../../agent/enrolment/audit-chain.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

function chainOf(records: readonly string[]): AuditLink[] {
  let head: AuditHead = noRecords;
  return records.map((record) => {
    const link = linkBehind(head, record);
    head = { records: link.number, hash: link.hash };
    return link;
  });
}

function check(links: readonly AuditLink[]): ChainCheck {
  const chain = new ChainCheck();
  for (const link of links) chain.accept(link);
  return chain;
}

test('the hash of a record is that of the hash before it and of its own digest', () => {
  const [first, second] = chainOf(['{"number":1}', '{"number":2}']);
  const firstHash = sha256('0'.repeat(64) + sha256('{"number":1}'));
  expect(first).toMatchObject({ number: 1, hash: firstHash });
  expect(second).toMatchObject({ number: 2, hash: sha256(firstHash + sha256('{"number":2}')) });
});

test('a chain is whole also where the text of a record was forgotten', () => {
  const links = chainOf(['a', 'b', 'c']).map((link, index) =>
    index === 1 ? { ...link, record: null } : link,
  );
  const chain = check(links);
  expect(chain.problem).toBeUndefined();
  expect(chain.head).toEqual({ records: 3, hash: links[2]?.hash });
});

test('whatever is changed, left out, put in or exchanged, it is noticed', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string(), { minLength: 2, maxLength: 12 }),
      fc.nat(),
      fc.nat(),
      (records, at, how) => {
        const links = chainOf(records);
        const index = at % (links.length - 1);
        const link = links[index];
        const forged = chainOf([...records.slice(0, index), `${link?.record}!`])[index];
        if (!link || !forged) throw new Error('no link');
        const tampered = [
          links.toSpliced(index, 1),
          links.toSpliced(index, 0, link),
          links.with(index, { ...link, record: `${link.record}!` }),
          // With digest and hash of its own: the next one does not follow from it.
          links.with(index, forged),
          links.with(index, { ...forged, hash: link.hash }),
        ];
        expect(check(tampered[how % tampered.length] ?? []).problem).toBeDefined();
      },
    ),
  );
});
