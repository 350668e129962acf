import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync } from 'node:fs';
import { chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import type { BaysAnswer, RecordingsAnswer, SessionsAnswer } from '../../agent/cli/answers.ts';
import { askAgent, askForResult } from '../../agent/control/client.ts';
import type { ControlRequestName } from '../../agent/control/requests.ts';
import { backupFolderOf } from '../../agent/state/backups.ts';
import type { BayPhase } from '../../protocol/mqtt/documents.ts';
import type { StoredEvent } from '../../agent/report/stored-event.ts';
import { labDisk, scratchFolder, until } from './lab.ts';

/** The service user of the lab: nobody's rights, and the group that the udev rules give the cameras to. */
export const serviceUser = { uid: 65_534, gid: 65_534 };

export interface LabStationOptions {
  /** Port paths of the bays, bay 1 first. */
  readonly ports: readonly string[];
  readonly profiles: readonly Record<string, unknown>[];
  readonly headcount?: number;
  readonly removal?: 'never' | 'when-verified';
  readonly session?: Record<string, number>;
  readonly helperSocket: string;
}

/** The agent as a station runs it: its own process, without root, on the real USB stack, its state on a real disk. */
export class LabStation implements AsyncDisposable {
  readonly folder: string;
  readonly #socket: string;
  readonly #scratch: AsyncDisposable;
  #process: ChildProcess | undefined;

  private constructor(scratch: AsyncDisposable & { readonly path: string }) {
    this.#scratch = scratch;
    this.folder = scratch.path;
    this.#socket = join(scratch.path, 'state/control.sock');
  }

  static async start(options: LabStationOptions): Promise<LabStation> {
    const station = new LabStation(await scratchFolder(labDisk));
    const profiles = join(station.folder, 'profiles');
    await mkdir(profiles);
    await mkdir(join(station.folder, 'state'));
    for (const profile of options.profiles) {
      await writeFile(join(profiles, `${String(profile['name'])}.toml`), stringify(profile));
    }
    const config = {
      post: { headcount: options.headcount ?? 100 },
      state: { folder: 'state' },
      vault: { removal: options.removal ?? 'when-verified' },
      clock: { station_clock: 'trusted', measure_for_ms: 3000 },
      broker: { embedded_port: 0 },
      session: { presence_ms: 1000, retry_ms: 1000, reseat_ms: 5000, ...options.session },
      cameras: { profiles: 'profiles' },
      usb: { helper_socket: options.helperSocket },
      bay: options.ports.map((port, index) => ({ number: index + 1, usb_port: port })),
    };
    await writeFile(join(station.folder, 'config.toml'), stringify(config));
    for (const path of [station.folder, join(station.folder, 'state')]) {
      await chown(path, serviceUser.uid, serviceUser.gid);
    }
    await station.startAgent();
    return station;
  }

  /** As its service manager does: a start that crashes is tried again. Node has crashed so in the emulator, rarely. */
  async startAgent(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const crashed = await this.#startOnce();
      if (crashed === undefined) return;
      if (attempt === 3) throw new Error(`the agent ended with ${crashed}:\n${await this.log()}`);
      console.warn(`the agent ended with ${crashed} at its start; started again`);
    }
  }

  /** The signal that ended it, or undefined when it answers. */
  async #startOnce(): Promise<string | undefined> {
    const log = openSync(join(this.folder, 'agent.log'), 'a');
    const { uid, gid } = serviceUser;
    const privileges = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'];
    const command = ['node', 'agent/main.ts', '--config', join(this.folder, 'config.toml')];
    const env = {
      ...process.env,
      HOME: '/tmp',
      UV_THREADPOOL_SIZE: '64',
      NODE_COMPILE_CACHE: join(this.folder, 'state/compile-cache'),
    };
    const child = spawn('setpriv', [...privileges, ...command], { stdio: ['ignore', log, log], env });
    closeSync(log);
    this.#process = child;
    return until(
      'the agent to answer',
      async () => {
        if (child.signalCode !== null) return { crashed: child.signalCode };
        if (child.exitCode !== null) throw new Error(`the agent ended:\n${await this.log()}`);
        return this.ask('bays').then(
          () => ({ crashed: undefined }),
          () => false as const,
        );
      },
      { timeoutMs: 60_000, everyMs: 200 },
    ).then(({ crashed }) => crashed);
  }

  /** As when the power fails for the process alone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  log(): Promise<string> {
    return readFile(join(this.folder, 'agent.log'), 'utf8');
  }

  /** Resident memory of the agent, MiB. */
  async memoryMib(): Promise<number> {
    const status = await readFile(`/proc/${this.#process?.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
  }

  async ask<T>(name: ControlRequestName, body: object = {}): Promise<T> {
    return (await askForResult(this.#socket, name, body)) as T;
  }

  async bay(number: number): Promise<BaysAnswer['bays'][number]> {
    const { bays } = await this.ask<BaysAnswer>('bays');
    const state = bays.find(({ bay }) => bay === number);
    if (!state) throw new Error(`no bay ${number}`);
    return state;
  }

  /** Waits for all these bays to be in one of the phases; fails with what is known of them. */
  async untilBays(
    numbers: readonly number[],
    phases: readonly BayPhase[],
    timeoutMs = 240_000,
  ): Promise<void> {
    try {
      await until(
        'bays',
        async () => {
          const { bays } = await this.ask<BaysAnswer>('bays');
          return numbers.every((number) =>
            bays.some(({ bay, phase }) => bay === number && phases.includes(phase)),
          );
        },
        { timeoutMs, everyMs: 200 },
      );
    } catch (cause) {
      const { bays } = await this.ask<BaysAnswer>('bays');
      const told = bays.map((bay) => JSON.stringify(bay)).join('\n');
      const log = (await this.log()).split('\n').slice(-12).join('\n');
      throw new Error(`bays ${numbers.join()} are not ${phases.join(' or ')}:\n${told}\n${log}`, { cause });
    }
  }

  async sessions(): Promise<SessionsAnswer['sessions']> {
    return (await this.ask<SessionsAnswer>('sessions', { limit: 1000 })).sessions;
  }

  async events(type?: StoredEvent['type']): Promise<Record<string, unknown>[]> {
    const events: Record<string, unknown>[] = [];
    for await (const line of askAgent(this.#socket, 'events', { after: 0, limit: 10_000 })) {
      if (line.kind !== 'item') continue;
      const event = line.item as StoredEvent;
      if (type === undefined || event.type === type) events.push(event.data as Record<string, unknown>);
    }
    return events;
  }

  /** What is stored, as `serial path sha256`, hashed from the files themselves; sorted. */
  async stored(): Promise<string[]> {
    const { recordings, vault } = await this.ask<RecordingsAnswer>('recordings', { limit: 10_000 });
    const files = (await readdir(vault, { recursive: true, withFileTypes: true })).filter(
      (entry) =>
        entry.isFile() && !/^\.part-|\.json$/.test(entry.name) && entry.parentPath !== backupFolderOf(vault),
    );
    if (files.length !== recordings.length) {
      throw new Error(`${files.length} files in the vault, ${recordings.length} in the catalogue`);
    }
    const found: string[] = [];
    for (const { serialNumber, path, storedPath } of recordings) {
      found.push(`${serialNumber} ${path} ${await sha256Of(join(vault, storedPath))}`);
    }
    return found.toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#scratch[Symbol.asyncDispose]();
  }
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
