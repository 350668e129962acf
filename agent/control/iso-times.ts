/** The same with its wall-clock times (`…At`, `…Until`, `since`) as ISO 8601 in UTC, as everything is that leaves the agent. */
export type IsoTimes<T> = {
  [K in keyof T]: K extends `${string}At` | `${string}Until` | 'since'
    ? Exclude<T[K], number> | string
    : T[K];
};

/** What it holds deeper inside stays as it is. */
export function isoTimes<T extends object>(value: T): IsoTimes<T> {
  const told = Object.entries(value).map(([name, held]) =>
    typeof held === 'number' && /(At|Until)$|^since$/.test(name) ? [name, iso(held)] : [name, held],
  );
  return Object.fromEntries(told) as IsoTimes<T>;
}

/** A time that no calendar knows, such as a camera may state, stays a number of milliseconds. */
function iso(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString();
}
