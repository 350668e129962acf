import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const patienceSeconds = 180;

export interface CommandTimes {
  readonly wallSeconds: number;
  /** User and system, of the program and its children. */
  readonly cpuSeconds: number;
}

/**
 * As `time` of bash counts, start and end of the program included. Rejects when it fails, or does not end within
 * minutes: with a camera that does not answer some wait for good.
 */
export async function timedCommand(command: readonly string[]): Promise<CommandTimes> {
  // The times go last, after whatever the program has to say on standard error.
  const script = `TIMEFORMAT=$'\\n%R %U %S'; time timeout "$0" "$@"`;
  const { stdout, stderr } = await promisify(execFile)(
    'bash',
    ['-c', script, String(patienceSeconds), ...command],
    {
      env: { ...process.env, LC_ALL: 'C' },
      maxBuffer: 2 ** 24,
    },
  );
  const [wall = Number.NaN, user = 0, system = 0] =
    stderr.trim().split('\n').at(-1)?.split(' ').map(Number) ?? [];
  if (Number.isNaN(wall)) throw new Error(`${command.join(' ')}: ${stdout}${stderr}`);
  return { wallSeconds: wall, cpuSeconds: user + system };
}
