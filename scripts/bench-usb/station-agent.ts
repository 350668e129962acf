import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { labProfiles } from '../../test/usb/lab-cameras.ts';
import { LabStation } from '../../test/usb/lab-station.ts';
import { run, scratchFolder, until } from '../../test/usb/lab.ts';
import { agentCommand } from '../agent-command.ts';
import { processesWith } from './guest-load.ts';

export interface StationAgent extends AsyncDisposable {
  readonly station: LabStation;
  readonly pid: number;
}

/** The agent of a station, with the options of Node that `npm run agent` gives it. */
export async function startStationAgent(
  ports: readonly string[],
  helperSocket: string,
): Promise<StationAgent> {
  await using stack = new AsyncDisposableStack();
  const bin = stack.use(await scratchFolder());
  const before = process.env['PATH'];
  stack.defer(() => void (process.env['PATH'] = before));
  await wrapNode(bin.path);
  process.env['PATH'] = `${bin.path}:${before}`;
  const options = { ports, profiles: labProfiles, removal: 'never', helperSocket } as const;
  const station = stack.use(await LabStation.start(options));
  const pid = await until(
    'the process of the agent',
    () => processesWith(join(station.folder, 'config.toml'))[0],
  );
  const resources = stack.move();
  return { station, pid, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** The station is started with `node`, wherever the path finds it. */
async function wrapNode(folder: string): Promise<void> {
  const { args } = agentCommand('');
  const options = args
    .slice(args.indexOf('node') + 1)
    .filter((arg) => arg.startsWith('--') && arg !== '--config');
  const environment = args
    .slice(0, args.indexOf('node'))
    .filter((arg) => !arg.startsWith('NODE_COMPILE_CACHE='));
  const node = await run('readlink', '-f', process.execPath);
  const script = ['#!/bin/sh', `exec env ${environment.join(' ')} ${node} ${options.join(' ')} "$@"`, ''];
  await writeFile(join(folder, 'node'), script.join('\n'));
  await chmod(join(folder, 'node'), 0o755);
  await chmod(folder, 0o755);
}

/** Resident memory in bytes, now and at its highest since the last call: proc(5), clear_refs and VmHWM. */
export async function residentBytes(pid: number): Promise<{ now: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1');
  const field = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  await writeFile(`/proc/${pid}/clear_refs`, '5');
  return { now: field('VmRSS'), peak: field('VmHWM') };
}
