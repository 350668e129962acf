import { readdirSync, readFileSync } from 'node:fs';

/** Processor time of the machine since it started, in seconds over all cores. */
export interface GuestLoad {
  readonly busySeconds: number;
  readonly allSeconds: number;
  /** Of the cameras' firmware: every umtprd. */
  readonly responderSeconds: number;
}

/** How much of the machine was used between two looks, 1 for all cores. */
export interface GuestShare {
  readonly busy: number;
  readonly responders: number;
}

/** proc(5), /proc/stat: user nice system idle iowait irq softirq steal, in ticks of 10 ms. */
export function guestLoad(): GuestLoad {
  const [line = ''] = readFileSync('/proc/stat', 'latin1').split('\n');
  const ticks = line.split(/\s+/).slice(1, 9).map(Number);
  const allTicks = ticks.reduce((sum, each) => sum + each, 0);
  const idleTicks = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return {
    busySeconds: (allTicks - idleTicks) / 100,
    allSeconds: allTicks / 100,
    responderSeconds: processesNamed('umtprd').reduce((sum, pid) => sum + processCpuSeconds(pid), 0),
  };
}

export function guestShare(before: GuestLoad, after = guestLoad()): GuestShare {
  const all = after.allSeconds - before.allSeconds;
  return {
    busy: (after.busySeconds - before.busySeconds) / all,
    responders: (after.responderSeconds - before.responderSeconds) / all,
  };
}

/** User and system time of a process with all threads that ever were, and of children that ended: proc_pid_stat(5). */
export function processCpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

export function processesNamed(name: string): number[] {
  return pidsWhere((pid) => readFileSync(`/proc/${pid}/comm`, 'latin1').trim() === name);
}

/** The processes whose command line holds a text. */
export function processesWith(text: string): number[] {
  return pidsWhere((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text));
}

function pidsWhere(isWanted: (pid: number) => boolean): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return isWanted(pid);
      } catch {
        return false; // it has ended
      }
    });
}
