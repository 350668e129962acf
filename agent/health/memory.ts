import type { SystemFiles } from './system-files.ts';

export interface MemoryReading {
  readonly memoryTotalBytes?: number;
  /** What programs may still get without swapping. */
  readonly memoryAvailableBytes?: number;
  /** Resident memory of the agent. */
  readonly agentResidentBytes?: number;
}

export async function readMemory(files: SystemFiles): Promise<MemoryReading> {
  const machine = (await files.read('/proc/meminfo')) ?? '';
  const agent = (await files.read('/proc/self/status')) ?? '';
  const total = kibibytes(machine, 'MemTotal');
  const available = kibibytes(machine, 'MemAvailable');
  const resident = kibibytes(agent, 'VmRSS');
  return {
    ...(total !== undefined && { memoryTotalBytes: total }),
    ...(available !== undefined && { memoryAvailableBytes: available }),
    ...(resident !== undefined && { agentResidentBytes: resident }),
  };
}

function kibibytes(text: string, name: string): number | undefined {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text);
  return match ? Number(match[1]) * 1024 : undefined;
}
