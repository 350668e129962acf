import { DockError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';

/** One border of the agent: what comes in there is bytes of somebody else. */
export interface FuzzTarget {
  readonly name: string;
  /** What is decoded, and what must hold of it. */
  readonly story: string;
  /** Valid inputs, or nearly: mutations start from them. */
  readonly seeds: readonly Uint8Array[];
  /** Words of the format that mutations put in. */
  readonly words?: readonly (string | Uint8Array)[];
  readonly mostBytes?: number;
  /** Longest time that one input may take; by default a second. */
  readonly mostMs?: number;
  /** A target that starts processes or opens sockets: fewer inputs between two looks at the coverage. */
  readonly isSlow?: boolean;
  /** Decodes one input; whatever it throws is a finding. */
  run(input: Uint8Array): void | Promise<void>;
}

/** The value, or undefined for a DockError with one of these codes; anything else thrown is passed on. */
export function orRefused<T>(codes: readonly ErrorCode[], work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof DockError && codes.includes(error.code)) return undefined;
    throw error;
  }
}

/** The same for a promise. */
export async function orRefusedLater<T>(
  codes: readonly ErrorCode[],
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DockError && codes.includes(error.code)) return undefined;
    throw error;
  }
}

/** A property that does not hold. */
export function expectThat(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

export function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
}

export function bytesOfText(...texts: readonly string[]): Uint8Array[] {
  return texts.map((text) => Buffer.from(text, 'utf8'));
}

/** The first byte of an input chooses, the rest is the choice's. */
export function chosen<T>(choices: readonly T[], input: Uint8Array): { choice: T; rest: Uint8Array } {
  const choice = choices[(input[0] ?? 0) % choices.length];
  if (choice === undefined) throw new Error('nothing to choose from');
  return { choice, rest: input.subarray(1) };
}
