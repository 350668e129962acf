import type { SystemFiles } from './system-files.ts';

export interface LoadReading {
  /** Tasks running or waiting for processor or disk, mean of the last five minutes. */
  readonly load5?: number;
  readonly processors?: number;
}

export async function readLoad(files: SystemFiles): Promise<LoadReading> {
  const load5 = Number((await files.read('/proc/loadavg'))?.split(' ')[1] ?? Number.NaN);
  const processors = countOfRanges((await files.read('/sys/devices/system/cpu/online')) ?? '');
  return {
    ...(Number.isFinite(load5) && { load5 }),
    ...(processors > 0 && { processors }),
  };
}

/** Such as `0-3,6`. */
function countOfRanges(text: string): number {
  let count = 0;
  for (const range of text.split(',')) {
    const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
    if (first !== undefined) count += Number(last ?? first) - Number(first) + 1;
  }
  return count;
}
