import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EventSequence, maxGaps, type SequencedEvent } from '../../agent/cli/fleet/event-sequence.ts';
import { eventId } from './messages.ts';

// Whoever has heard the event that an event names as the one before it has missed nothing: that is all the checker
// goes by, so each way in which it can be wrong has a test.

const event = (seq: number, previousSeq = seq - 1, draw = 0): SequencedEvent => ({
  id: eventId(seq, draw),
  seq,
  previousSeq,
  historical: false,
});

function sequence(...events: SequencedEvent[]): EventSequence {
  const heard = new EventSequence();
  for (const each of events) heard.hear(each);
  return heard;
}

describe('a sequence of events', () => {
  test('has no gap while each names the one before it, wherever it begins', () => {
    const heard = sequence(event(7), event(8), event(9));
    expect(heard.gaps).toEqual([]);
    expect(heard).toMatchObject({ last: 9, wholeUpTo: 9 });
  });

  test('has no gap where samples were dropped: the next event names the last that was kept', () => {
    expect(sequence(event(1), event(5, 1), event(9, 5)).gaps).toEqual([]);
  });

  test('has no gap where a sample was dropped that had been sent already', () => {
    expect(sequence(event(1), event(2), event(3, 1)).gaps).toEqual([]);
  });

  test('has a gap where an event names one that never came', () => {
    const heard = sequence(event(1), event(4));
    expect(heard.gaps).toEqual([{ after: 1, upTo: 3, before: 4 }]);
    expect(heard.wholeUpTo).toBe(1);
  });

  test('takes an event that comes twice for one', () => {
    const heard = sequence(event(1), event(2));
    expect(heard.hear(event(2))).toBe('repeated');
    expect(heard.hear(event(1))).toBe('repeated');
    expect(heard.gaps).toEqual([]);
  });

  test('takes what is repeated from before its memory for repeated, by the time in its id', () => {
    const heard = new EventSequence(2);
    for (let seq = 1; seq <= 10; seq++) heard.hear(event(seq));
    expect(heard.hear(event(3))).toBe('repeated');
  });

  test('takes an event of a station whose clock was ahead, sent again for somebody else, for repeated', () => {
    const heard = new EventSequence(2);
    for (let seq = 1; seq <= 10; seq++) heard.hear(event(seq));
    expect(heard.hear({ ...event(3), id: eventId(600), historical: true })).toBe('repeated');
  });

  test('tells another event under a number that was heard', () => {
    const heard = sequence(event(1), event(2));
    expect(heard.hear(event(2, 1, 99))).toBe('conflict');
  });

  test('tells that the numbers began again by an event that is newer under a lower number', () => {
    const heard = sequence(event(10), event(20), event(21));
    expect(heard.hear({ ...event(3), id: eventId(600) })).toBe('restarted');
    expect(heard).toMatchObject({ last: 3, lostGaps: 1 });
  });

  test('closes a gap from below, from above and from the middle', () => {
    const heard = sequence(event(1), event(7));
    expect(heard.hear(event(4))).toBe('filled');
    expect(heard.gaps).toEqual([
      { after: 1, upTo: 3, before: 4 },
      { after: 4, upTo: 6, before: 7 },
    ]);
    for (const seq of [2, 6, 5, 3]) expect(heard.hear(event(seq))).toBe('filled');
    expect(heard.gaps).toEqual([]);
    expect(heard.wholeUpTo).toBe(7);
  });

  test('closes a gap of which a replay says that only dropped samples were in it', () => {
    const heard = sequence(event(1), event(5));
    expect(heard.hear(event(2))).toBe('filled');
    expect(heard.hear(event(5, 2))).toBe('repeated');
    expect(heard.gaps).toEqual([]);
  });

  test('keeps a bounded number of gaps and does not forget that there were more', () => {
    const heard = new EventSequence();
    for (let seq = 1; seq <= 3 * maxGaps; seq += 2) heard.hear(event(seq));
    expect(heard.gaps.length).toBe(maxGaps);
    expect(heard.gaps.length + heard.lostGaps).toBe((3 * maxGaps) / 2 - 1);
  });

  test('finds exactly what was lost on the way, whatever is lost, repeated and dropped as a sample', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('kept', 'lost', 'dropped', 'repeated'), { minLength: 1, maxLength: 60 }),
        (fates) => {
          const heard = new EventSequence(100);
          heard.hear(event(1));
          const lost: number[] = [];
          let previous = 1;
          for (const [index, fate] of [...fates, 'kept' as const].entries()) {
            const seq = index + 2;
            if (fate === 'dropped') continue;
            if (fate === 'lost') lost.push(seq);
            else heard.hear(event(seq, previous));
            if (fate === 'repeated') heard.hear(event(seq, previous));
            previous = seq;
          }
          const isMissing = (seq: number): boolean =>
            heard.gaps.some(({ after, upTo }) => after < seq && seq <= upTo);
          expect(lost.filter((seq) => !isMissing(seq))).toEqual([]);
          expect(heard.gaps.length > 0).toBe(lost.length > 0);
          // Sent again, they close every gap.
          previous = 1;
          for (const [index, fate] of fates.entries()) {
            if (fate === 'dropped') continue;
            heard.hear(event(index + 2, previous));
            previous = index + 2;
          }
          expect(heard.gaps).toEqual([]);
        },
      ),
    );
  });
});
