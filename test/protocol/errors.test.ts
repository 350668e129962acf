import { expect, test } from 'vitest';
import { asDockError, DockError, hasCode } from '../../protocol/errors.ts';

/** Stands for a file that fails, and then fails to close as well. */
async function failTwice(): Promise<never> {
  await using _ = {
    [Symbol.asyncDispose]: async () => {
      throw new DockError('vault.disk-full', 'on closing');
    },
  };
  throw new DockError('vault.disk-error', 'on reading');
}

test('an error whose clean-up failed as well is told by what failed first', async () => {
  const thrown: unknown = await failTwice().catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(SuppressedError);
  expect(asDockError(thrown)).toMatchObject({ code: 'vault.disk-error' });
  expect(hasCode(thrown, 'vault.disk-error')).toBe(true);
  expect(hasCode(thrown, 'vault.disk-full')).toBe(false);
});
