import { readdirSync, readFileSync } from 'node:fs';

/** Memory of a process, proc_pid_status(5): resident is anonymous plus file, and the latter can be shared. */
export interface ProcessMemory {
  readonly residentBytes: number;
  readonly anonymousBytes: number;
  readonly fileBytes: number;
}

export function processMemory(pid: number): ProcessMemory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const field = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? Number.NaN);
  return {
    residentBytes: field('VmRSS'),
    anonymousBytes: field('RssAnon'),
    fileBytes: field('RssFile') + field('RssShmem'),
  };
}

/** Time on a processor of all threads that live, to the nanosecond: proc(5), schedstat. */
export function threadsCpuSeconds(pid: number): number {
  const nanoseconds = readdirSync(`/proc/${pid}/task`).map((thread) => {
    const [onProcessor = '0'] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ');
    return Number(onProcessor);
  });
  return nanoseconds.reduce((sum, value) => sum + value, 0) / 1e9;
}

export interface CpuSeconds {
  readonly user: number;
  readonly system: number;
}

/** Of this process and of its children that have ended. */
export function ownCpuSeconds(): CpuSeconds {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  // proc_pid_stat(5): cutime and cstime are fields 16 and 17, in ticks of 10 ms; field 2 is a name in parentheses.
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    user: userCPUTime / 1e6 + Number(fields[13]) / 100,
    system: systemCPUTime / 1e6 + Number(fields[14]) / 100,
  };
}
