import { userInfo } from 'node:os';

/** Who acts, for the record; a user without an entry in the user database by number. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
