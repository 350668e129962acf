/** A deliberate bug. The suite must catch it, or it would not catch the same bug made by accident. */
export interface Mutation {
  readonly name: string;
  /** What it would do to a station. */
  readonly story: string;
  readonly file: string;
  /** Exact texts; each must be in the file exactly once. */
  readonly edits: readonly { readonly find: string; readonly replace: string }[];
  /** What has to fail with the bug in: one of them is enough. */
  readonly catchers: readonly Catcher[];
}

export type Catcher =
  /** A test file, or those of its tests whose full name holds a text: it must load, and one of them fail. */
  | { readonly kind: 'tests'; readonly file: string; readonly named: string | undefined }
  /** Simulations from these seeds on, of which one has to break a promise; `count` bounds how long that may take. */
  | { readonly kind: 'seeds'; readonly from: number; readonly count: number }
  /** A program and its arguments, which must end with another code than 0. */
  | { readonly kind: 'command'; readonly command: readonly string[] };

/** Test files by their names below test/, without the ending; behind a colon which of their tests. */
export function tests(...names: readonly string[]): Catcher[] {
  return names.map((name) => {
    const [file, named] = name.split(': ');
    return { kind: 'tests', file: `test/${file}.test.ts`, named };
  });
}

/** A simulated station; a bug that takes a rare story names the seed that tells it. */
export function seeds(from: number, count = 1): Catcher {
  return { kind: 'seeds', from, count };
}
