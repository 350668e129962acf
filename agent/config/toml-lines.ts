/**
 * The line of a TOML text (from 1) where a key stands, or the nearest table around it. The TOML library keeps no
 * positions, so this looks at table headers and keys at the start of lines; good enough to point a person there.
 */
export function lineOf(text: string, path: readonly PropertyKey[]): number | undefined {
  const wanted = path.map(String);
  const arrayCounts = new Map<string, number>();
  let table: string[] = [];
  let best: { line: number; depth: number } | undefined;
  for (const [index, untrimmed] of text.split('\n').entries()) {
    const line = untrimmed.trim();
    const arrayHeader = /^\[\[([^\]]+)\]\]/.exec(line)?.[1]?.trim();
    const header = /^\[([^[\]]+)\]/.exec(line)?.[1]?.trim();
    const key = /^([A-Za-z0-9_.-]+)\s*=/.exec(line)?.[1];
    let here: string[] | undefined;
    if (arrayHeader !== undefined) {
      const count = (arrayCounts.get(arrayHeader) ?? -1) + 1;
      arrayCounts.set(arrayHeader, count);
      table = [...arrayHeader.split('.'), String(count)];
      here = table;
    } else if (header !== undefined) {
      const [first = '', ...rest] = header.split('.');
      const count = arrayCounts.get(first);
      table = count === undefined ? [first, ...rest] : [first, String(count), ...rest];
      here = table;
    } else if (key !== undefined) {
      here = [...table, ...key.split('.')];
    }
    if (!here || !here.every((part, position) => part === wanted[position])) continue;
    if (!best || here.length > best.depth) best = { line: index + 1, depth: here.length };
  }
  return best?.line;
}
