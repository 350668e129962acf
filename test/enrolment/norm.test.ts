import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { normEditions } from '../../protocol/norm/editions.ts';
import { editionAt, maxHeadcount, quotaFor } from '../../protocol/norm/quota.ts';

// Order No. 1358, item 1: how many portable video recorders a post may have. The rows overlap at their bounds in the
// text ("from 50 to 100", "from 100 to 200"); each row includes its upper bound, because the last one begins above
// 400 ("400 адамнан жоғары").

const edition = editionAt(Date.UTC(2026, 10, 22));
const headcounts = fc.integer({ min: 0, max: maxHeadcount });

describe('the norm', () => {
  test.each([
    [0, 0, 0],
    [1, 5, 1],
    [49, 5, 1],
    [50, 5, 1],
    [51, 10, 2],
    [100, 10, 2],
    [101, 20, 3],
    [200, 20, 3],
    [201, 30, 4],
    [300, 30, 4],
    [301, 40, 5],
    [400, 40, 5],
    [401, 50, 6],
    [1_000_000, 50, 6],
  ])('gives a post of %i workers %i cameras, by row %i', (headcount, quota, row) => {
    expect(quotaFor(headcount, edition)).toMatchObject({ headcount, quota, row });
  });

  test('is cited with act, registration, item and amendment', () => {
    const { citation } = quotaFor(400, edition);
    for (const fact of [
      'No. 1358',
      '10 December 2019',
      'No. 19747',
      'item 1',
      'No. 994',
      '29 September 2021',
    ]) {
      expect(citation).toContain(fact);
    }
  });

  test('never grants less to a larger post', () => {
    fc.assert(
      fc.property(headcounts, headcounts, (a, b) => {
        const [small, large] = [Math.min(a, b), Math.max(a, b)];
        expect(quotaFor(small, edition).quota).toBeLessThanOrEqual(quotaFor(large, edition).quota);
      }),
    );
  });

  test('has exactly one row for every headcount', () => {
    for (const {
      camera: { rows },
    } of normEditions) {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: maxHeadcount }), (headcount) => {
          const lowerBoundOf = (index: number): number => rows[index - 1]?.upTo ?? 0;
          const matching = rows.filter(
            ({ upTo = Infinity }, index) => headcount > lowerBoundOf(index) && headcount <= upTo,
          );
          expect(matching).toHaveLength(1);
          expect(quotaFor(headcount, edition).row).toBe(matching[0]?.row);
        }),
      );
    }
  });

  test.each([-1, 1.5, Number.NaN, Infinity, 10_000_000, -0.5])('knows no headcount %d', (headcount) => {
    expect(() => quotaFor(headcount, edition)).toThrow(
      expect.objectContaining({ code: 'control.bad-request' }),
    );
  });

  test('has an edition for every day, the earliest one for days before all', () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }), (day) => {
        expect(normEditions).toContain(editionAt(day.getTime()));
      }),
    );
    expect(editionAt(0).id).toBe(normEditions[0]?.id);
  });
});
