import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';

/** A part of the bench in a process of its own, so that its work is not counted with what is measured. */
export interface HelperProcess<Message> extends AsyncDisposable {
  /** The next message it sends. Fails when it ends without one. */
  next(): Promise<Message>;
  tell(message: string): void;
}

/** Starts `scripts/bench/<script>` with its task; what it sends is one of `Message` by agreement of both files. */
export function startHelper<Message>(script: string, task: object): HelperProcess<Message> {
  const child = fork(join(import.meta.dirname, script), [JSON.stringify(task)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const messages: Message[] = [];
  let wake = Promise.withResolvers<void>();
  child.on('message', (message) => {
    messages.push(message as Message);
    wake.resolve();
  });
  child.once('exit', () => wake.resolve());
  return {
    next: async () => {
      for (;;) {
        const message = messages.shift();
        if (message !== undefined) return message;
        if (hasEnded(child)) throw new Error(`${script} ended with ${child.exitCode ?? child.signalCode}`);
        await wake.promise;
        wake = Promise.withResolvers();
      }
    },
    tell: (message) => child.send(message),
    [Symbol.asyncDispose]: () => endProcess(child),
  };
}

/** Asks a process to end, and makes it after a while. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const impatience = setTimeout(() => child.kill('SIGKILL'), 5000);
  await ended;
  clearTimeout(impatience);
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** For the helper itself: its task, and its end when the bench goes away. */
export function helperTask<Task>(): Task {
  process.once('disconnect', () => process.exit());
  return JSON.parse(process.argv[2] ?? '{}') as Task;
}

export function sendToBench(message: object): void {
  process.send?.(message);
}
