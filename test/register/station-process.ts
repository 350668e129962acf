import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RegisterRequest } from '../../agent/enrolment/register-server.ts';
import type { RegisterLogin } from '../../agent/enrolment/register-login.ts';
import type { Operation } from './check-history.ts';

/** What the process is asked, and what it answers. Told `abandon` it drops its connection and what is under way. */
export interface Asked {
  readonly login: RegisterLogin;
  readonly request: RegisterRequest;
}
export interface Answered {
  readonly id: string;
  readonly outcome: Operation['outcome'];
  /** Of the server, or of the program: nothing that may happen. */
  readonly failure?: string;
}

const program = fileURLToPath(new URL('station-process-main.ts', import.meta.url));
const env = { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'dock-register-stations') };

/** A station that asks the register from a process of its own, so that it can be killed; then the next one begins. */
export class StationProcess implements AsyncDisposable {
  #child: ChildProcess = begin();

  /** Errors: what the process could not do. Never settles when the process is killed meanwhile. */
  async ask(asked: Asked): Promise<Operation['outcome']> {
    const child = this.#child;
    child.send(asked);
    for (;;) {
      const [answer] = (await once(child, 'message')) as [Answered];
      if (answer.id !== asked.request.id) continue;
      if (answer.failure !== undefined) throw new Error(answer.failure);
      return answer.outcome;
    }
  }

  /** Its connection breaks off in the middle of whatever it does, and the request is forgotten. */
  abandon(): void {
    this.#child.send('abandon');
  }

  /** SIGKILL, in the middle of whatever it does. */
  async kill(): Promise<void> {
    await end(this.#child);
    this.#child = begin();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#child);
  }
}

function begin(): ChildProcess {
  return fork(program, { env });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
