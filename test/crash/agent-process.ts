import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** How to start an agent, for spawn. */
export interface AgentStart {
  readonly command: string;
  readonly args: readonly string[];
  readonly options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv };
}

/** One life of an agent as a process of its own. */
export class AgentProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #log = '';

  constructor({ command, args, options }: AgentStart) {
    this.#child = spawn(command, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#exited = once(this.#child, 'exit');
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
  }

  get log(): string {
    return this.#log;
  }

  /** Undefined while it lives. */
  get end(): number | string | undefined {
    return this.#child.exitCode ?? this.#child.signalCode ?? undefined;
  }

  /** Stops it between two instructions of its own, as a power cut does, until it is killed. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** An orderly stop; gives the exit status. */
  async stop(): Promise<number | string | undefined> {
    this.#child.kill('SIGTERM');
    await this.#exited;
    return this.end;
  }
}
