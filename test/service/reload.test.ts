// Another configuration takes effect without a visit: a wrong one changes nothing, and one that the station cannot work
// with does not leave it dark.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { StatusAnswer } from '../../agent/cli/answers.ts';
import { askForResult } from '../../agent/control/client.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { runDockctl } from '../support/dockctl.ts';

let folder: string;
let config: string;
let agent: ChildProcess;

const configText = (name: string, rest = ''): string => `
[station]
name = "${name}"
[state]
folder = "${folder}/state"
[broker]
embedded_port = 0
${rest}`;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dock-reload-'));
  config = join(folder, 'config.toml');
  writeFileSync(config, configText('first'));
  const main = resolve(import.meta.dirname, '../../agent/main.ts');
  agent = spawn(process.execPath, [main, '--config', config], { stdio: 'ignore' });
});
afterEach(async () => {
  const ended = once(agent, 'exit');
  agent.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  rmSync(folder, { recursive: true });
});

const ask = async (): Promise<StatusAnswer> =>
  (await askForResult(join(folder, 'state/control.sock'), 'status', {})) as StatusAnswer;

async function untilStatus(what: string, isIt: (status: StatusAnswer) => boolean): Promise<StatusAnswer> {
  for (const deadline = performance.now() + 50_000; ; await systemClock.sleep(50)) {
    const status = await ask().catch(() => undefined);
    if (status && isIt(status)) return status;
    if (performance.now() > deadline) throw new Error(`${what}: ${JSON.stringify(status)}`);
  }
}

test('a good configuration takes effect in the same process, asked for by dockctl or by a signal', async () => {
  const before = await untilStatus('the start', () => true);
  writeFileSync(config, configText('second', '[[bay]]\nnumber = 7\nserial = { path = "/dev/none" }\n'));
  const reloaded = await runDockctl(folder, '--config', config, 'config', 'reload');
  expect(reloaded).toMatchObject({ code: 0, stderr: '' });
  const after = await untilStatus('the second', ({ station }) => station.name === 'second');
  expect(after).toMatchObject({ boot: before.boot + 1, bays: [{ bay: 7 }] });
  writeFileSync(config, configText('third'));
  agent.kill('SIGHUP');
  await untilStatus('the third', ({ station, bays }) => station.name === 'third' && bays.length === 0);
  expect(agent.exitCode).toBeNull();
});

test('a wrong configuration is refused with all its problems, and nothing changes', async () => {
  const before = await untilStatus('the start', () => true);
  writeFileSync(config, configText('second', '[session]\npresence_ms = 1\nretry_ms = -1\n'));
  const refused = await runDockctl(
    folder,
    '--socket',
    join(folder, 'state/control.sock'),
    'config',
    'reload',
  );
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/presence_ms[\s\S]*retry_ms[\s\S]*config\.invalid/);
  agent.kill('SIGHUP');
  expect(await ask()).toMatchObject({
    boot: before.boot,
    startedAt: before.startedAt,
    station: { name: 'first' },
  });
});

test('a station that cannot work with its new configuration goes on with the one before', async () => {
  const before = await untilStatus('the start', () => true);
  await using taken = createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as { port: number };
  writeFileSync(config, configText('second').replace('embedded_port = 0', `embedded_port = ${port}`));
  await askForResult(join(folder, 'state/control.sock'), 'reload-configuration', {});
  const after = await untilStatus('another start', ({ startedAt }) => startedAt !== before.startedAt);
  expect(after).toMatchObject({ station: { name: 'first' } });
});
