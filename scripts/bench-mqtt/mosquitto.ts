import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../dock/host/system-clock.ts';
import { endProcess } from '../bench/helper-process.ts';

/** A real Mosquitto of our own, on a free port of loopback. */
export interface Mosquitto extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
}

const programs = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto'];
const startMs = 10_000;

/** What cannot be measured here, and what to install. */
export class MissingProgram extends Error {}

export async function startMosquitto(folder: string): Promise<Mosquitto> {
  const program = programs.find((path) => existsSync(path));
  if (program === undefined) {
    throw new MissingProgram('Mosquitto is not installed. On Debian: apt-get install mosquitto');
  }
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const file = join(folder, 'mosquitto.conf');
  writeFileSync(file, configuration(port, folder));
  const child = spawn(program, ['-c', file], { stdio: 'ignore' });
  const deadline = systemClock.monotonic() + startMs;
  while (!(await answers(port))) {
    if (child.exitCode !== null || systemClock.monotonic() > deadline) {
      await endProcess(child);
      throw new Error(`Mosquitto did not start, see ${file}`);
    }
    await systemClock.sleep(20);
  }
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    pid: pidOf(child),
    [Symbol.asyncDispose]: () => endProcess(child),
  };
}

/** As a central broker is set up: durable, without the limit of 1000 messages beyond which it drops silently. */
function configuration(port: number, folder: string): string {
  return `listener ${port} 127.0.0.1
allow_anonymous true
# Started by root it would become a user that may not write here.
user root
persistence true
persistence_location ${folder}/
autosave_interval 60
set_tcp_nodelay true
max_queued_messages 0
log_dest none
`;
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('Mosquitto did not start');
  return pid;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || !address) throw new Error('no free port');
  return address.port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
