import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MessageIds } from '../../agent/report/message-ids.ts';

// An id given twice while the first message is not acknowledged yet loses one of the two without an error.

test('no packet id is given twice while it is in use, whatever comes back in whatever order', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(), { nil: undefined }), { maxLength: 300 }), (steps) => {
      const ids = new MessageIds();
      const inUse: number[] = [];
      for (const step of steps) {
        if (step === undefined || inUse.length === 0) {
          const id = ids.allocate();
          expect(inUse).not.toContain(id);
          expect(id).toBe(ids.getLastAllocated());
          if (id !== null) inUse.push(id);
        } else {
          for (const id of inUse.splice(step % inUse.length, 1)) ids.deallocate(id);
        }
      }
    }),
  );
});

test('packet ids are 1 to 65535, none is given when all are in use, and any that comes back is found', () => {
  const ids = new MessageIds();
  const given = new Set(Array.from({ length: 65_535 }, () => ids.allocate()));
  expect(given.size).toBe(65_535);
  expect([Math.min(...[...given].map(Number)), Math.max(...[...given].map(Number))]).toEqual([1, 65_535]);
  expect(ids.allocate()).toBeNull();
  expect(ids.register(700)).toBe(false);
  ids.deallocate(700);
  expect(ids.allocate()).toBe(700);
});
