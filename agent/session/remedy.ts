import type { DockError } from '../../protocol/errors.ts';

/** What a session does after a recording failed: the one place that decides it. */
export type Remedy =
  /** Try the same recording again, from where it stopped. */
  | 'again'
  /** Leave this recording on the camera with its reason and go on with the next. */
  | 'quarantine'
  /** End the session; the camera is opened afresh and everything is planned anew. */
  | 'reopen'
  /** End the session and wait for a person or for the condition to pass. */
  | 'wait';

/** Tries of one recording within a session, as long as none of them got further. */
const fruitlessTries = 3;

export function remedyFor(error: DockError, triesWithoutProgress: number): Remedy {
  // A recording too large for the room that is left must not keep smaller ones from being stored.
  if (error.code === 'vault.disk-full') return 'quarantine';
  switch (error.disposition) {
    case 'retry':
      return triesWithoutProgress < fruitlessTries ? 'again' : 'quarantine';
    case 'refuse':
      return 'quarantine';
    case 'reopen':
    case 'power-cycle':
      return 'reopen';
    case 'operator':
    case 'bug':
      return 'wait';
  }
}
