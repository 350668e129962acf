import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { serviceUser } from './lab-station.ts';
import { run, until, usbDevices } from './lab.ts';

const root = resolve(import.meta.dirname, '../..');
const baysFile = '/run/docking-station/bay-ports';
const rulesFile = '/run/udev/rules.d/70-docking-station.rules';

export interface LabInstallation extends AsyncDisposable {
  readonly helperSocket: string;
}

/**
 * What scripts/installation sets up on a station, in the lab: the same rules, the same helper behind a socket, other
 * paths, and nobody in the place of the user dock. All of it is gone with its scope: the tests share one kernel.
 */
export async function installInLab(bayPorts: readonly string[]): Promise<LabInstallation> {
  await using stack = new AsyncDisposableStack();
  stack.use(await installUdevRules(bayPorts));
  const helper = stack.use(await startHelper(bayPorts));
  const installed = stack.move();
  return { helperSocket: helper.helperSocket, [Symbol.asyncDispose]: () => installed.disposeAsync() };
}

/** The rules of the installation, for these bays. */
export async function installUdevRules(bayPorts: readonly string[]): Promise<AsyncDisposable> {
  await writeBays(bayPorts);
  const rules = await readFile(join(root, 'scripts/installation/70-docking-station.rules'), 'utf8');
  const inLab = rules
    .replaceAll(
      '/usr/lib/docking-station/dock/host/',
      `/usr/bin/env DOCK_BAY_PORTS=${baysFile} ${root}/dock/host/`,
    )
    .replaceAll('GROUP="dock"', 'GROUP="nogroup"');
  await mkdir(dirname(rulesFile), { recursive: true });
  await writeFile(rulesFile, inLab);
  await run('udevadm', 'control', '--reload');
  await run('udevadm', 'trigger', '--action=add', '--subsystem-match=usb');
  await run('udevadm', 'settle');
  return {
    async [Symbol.asyncDispose]() {
      await rm(rulesFile);
      await run('udevadm', 'control', '--reload');
      await run('udevadm', 'settle');
      for (const bus of new Set(bayPorts.map((port) => port.replace(/-.*/, ''))))
        await writeFile(join(usbDevices, `usb${bus}`, 'interface_authorized_default'), '1');
    },
  };
}

/** The privileged helper for these bays behind its socket, which the service's user may open. */
export async function startHelper(bayPorts: readonly string[]): Promise<LabInstallation> {
  await writeBays(bayPorts);
  const helperSocket = '/run/dock-helper.sock';
  await rm(helperSocket, { force: true });
  const environment = ['DOCK_USER=nobody', `DOCK_BAY_PORTS=${baysFile}`, 'DOCK_MOUNTS=/run/dock-mounts'];
  const activate = [
    'systemd-socket-activate',
    `--listen=${helperSocket}`,
    '--accept',
    '--inetd',
    ...environment.map((pair) => `--setenv=${pair}`),
    join(root, 'dock/host/dock-helper.sh'),
  ];
  // As its unit has it: all capabilities but one are out of reach.
  const listener = spawn('setpriv', ['--bounding-set', '-all,+sys_admin', '--', ...activate], {
    stdio: 'ignore',
  });
  const ended = once(listener, 'exit');
  await until('the socket of the helper', () =>
    chown(helperSocket, 0, serviceUser.gid).then(
      () => true,
      () => false,
    ),
  );
  await chmod(helperSocket, 0o660);
  return {
    helperSocket,
    async [Symbol.asyncDispose]() {
      listener.kill();
      await ended;
    },
  };
}

async function writeBays(bayPorts: readonly string[]): Promise<void> {
  await mkdir(dirname(baysFile), { recursive: true });
  await writeFile(baysFile, `${bayPorts.join('\n')}\n`);
}
