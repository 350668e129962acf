import { DockError } from '../errors.ts';

/**
 * An error a server answered with. `scope` tells which list `code` comes from: the common list ("rc", any
 * version) or the list of a group ("err", version 2 only). The group stated by the server is not always the
 * one asked (Zephyr 3.4.99 said 63 for a statistics error).
 */
export interface SmpFailure {
  readonly scope: 'common' | { readonly groupId: number };
  readonly code: number;
  readonly reason?: string;
}

/** Common codes, the field "rc". 256 and above belong to the application. */
export const smpCommonError = {
  unknown: 1,
  outOfMemory: 2,
  invalidValue: 3,
  timeout: 4,
  noEntry: 5,
  badState: 6,
  responseTooLong: 7,
  notSupported: 8,
  corrupt: 9,
  busy: 10,
  accessDenied: 11,
  versionTooOld: 12,
  versionTooNew: 13,
} as const;

/**
 * Reads both error forms from a response body; "rc": 0 is success, as some old commands send it. What is
 * neither is no success: many commands answer with an empty map. Errors: `smp.bad-response`.
 */
export function readFailure(map: Readonly<Record<string, unknown>>): SmpFailure | undefined {
  const err = map['err'];
  if (err !== undefined) {
    if (typeof err !== 'object' || err === null)
      throw new DockError('smp.bad-response', '"err" is not a map');
    const { group, rc } = err as { group?: unknown; rc?: unknown };
    const groupCode = readCode(rc, '"err" without a code');
    if (groupCode !== 0)
      return { scope: { groupId: typeof group === 'number' ? group : -1 }, code: groupCode };
  }
  if (map['rc'] === undefined) return undefined;
  const code = readCode(map['rc'], '"rc" is not an integer');
  if (code === 0) return undefined;
  const reason = map['rsn'];
  return typeof reason === 'string'
    ? { scope: 'common', code, reason: reason.slice(0, 200) }
    : { scope: 'common', code };
}

function readCode(rc: unknown, problem: string): number {
  if (typeof rc !== 'number') throw new DockError('smp.bad-response', problem);
  return rc;
}

/** Whether the server does not know the command at all. */
export function isUnsupported(failure: SmpFailure): boolean {
  return failure.scope === 'common' && failure.code === smpCommonError.notSupported;
}

/** The error to raise when a command failed and the caller has no better meaning for it. */
export function failureError(commandName: string, failure: SmpFailure): DockError {
  const list = failure.scope === 'common' ? 'rc' : `group ${failure.scope.groupId} rc`;
  const detail = `${commandName}: ${list} ${failure.code}${failure.reason ? ` (${failure.reason})` : ''}`;
  if (isUnsupported(failure)) return new DockError('smp.unsupported', detail);
  if (failure.scope === 'common' && failure.code === smpCommonError.busy)
    return new DockError('smp.busy', detail);
  return new DockError('smp.rejected', detail);
}
