import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../agent/cli/dockctl.ts', import.meta.url));

export interface DockctlOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The real program, as technicians and scripts start it, in a folder. */
export function startDockctl(folder: string, ...args: readonly string[]): ChildProcessWithoutNullStreams {
  const options = { cwd: folder, timeout: 60_000, killSignal: 'SIGKILL' } as const;
  return spawn(process.execPath, [program, ...args], options);
}

export async function runDockctl(folder: string, ...args: readonly string[]): Promise<DockctlOutcome> {
  const child = startDockctl(folder, ...args);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { code: code as number | null, stdout, stderr };
}
