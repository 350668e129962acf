import { execFile } from 'node:child_process';
import { nobody, type Supervisor } from './supervisor.ts';

type Send = (state: string) => void;

/** systemd where it started this process and waits for word (sd_notify(3)), else nobody. */
export async function systemdSupervisor(
  env: Readonly<Record<string, string | undefined>>,
): Promise<Supervisor> {
  if (env['NOTIFY_SOCKET'] === undefined) return nobody;
  const send = (await throughLibrary()) ?? throughCommand;
  const watchdogMs = Number(env['WATCHDOG_USEC']) / 1000;
  return {
    watchdogMs: watchdogMs > 0 ? watchdogMs : undefined,
    ready: () => send('READY=1'),
    alive: () => send('WATCHDOG=1'),
    stopping: () => send('STOPPING=1'),
    status: (line) => send(`STATUS=${line.replace(/\p{Cc}+/gu, ' ').slice(0, 500)}`),
  };
}

/** Node has no datagram sockets of the file system; its FFI (from 26) reaches the function in under a millisecond. */
async function throughLibrary(): Promise<Send | undefined> {
  try {
    const { dlopen } = await import('node:ffi');
    const { functions } = dlopen('libsystemd.so.0', {
      sd_notify: { arguments: ['i32', 'string'], return: 'i32' },
    });
    return (state) => void functions.sd_notify(0, state);
  } catch {
    return undefined;
  }
}

/** Needs NotifyAccess=all in the unit, since the command speaks for itself. */
function throughCommand(state: string): void {
  execFile('systemd-notify', ['--', state], () => undefined);
}
