import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { DockError } from '../../protocol/errors.ts';

/**
 * Takes the state folder for this process alone, until disposed of or the process ends: the lock is the operating
 * system's, held through SQLite, so a crash leaves nothing behind. Errors: `state.locked`, `state.damaged`,
 * `state.unusable`.
 */
export function lockState(folder: string): Disposable {
  const lock = openLock(folder);
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    lock.close();
    const message = cause instanceof Error ? cause.message : String(cause);
    if (!/locked/.test(message)) throw new DockError('state.damaged', `${folder}: ${message}`, { cause });
    throw new DockError('state.locked', folder, { cause });
  }
  return { [Symbol.dispose]: () => lock.close() };
}

function openLock(folder: string): DatabaseSync {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o750 });
    return new DatabaseSync(join(folder, 'agent.lock'), { timeout: 500 });
  } catch (cause) {
    throw new DockError('state.unusable', cause instanceof Error ? cause.message : folder, { cause });
  }
}
