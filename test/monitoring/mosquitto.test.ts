// The configuration that is handed to the control room, on a real broker with real certificates.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Mosquitto } from '../mosquitto/mosquitto.ts';
import { until } from '../report/monitor.ts';
import { clientOf, hasMosquitto } from './mosquitto-clients.ts';
import { PasswordListener } from './password-listener.ts';

const topic = 'dock/v1/d/p/s/status';

describe.skipIf(!hasMosquitto)('Mosquitto', () => {
  let listener: PasswordListener;
  let broker: Mosquitto;
  beforeAll(async () => {
    listener = await PasswordListener.prepare();
    const names = ['d/p/s', 'd/p/other', 'monitoring', 'control-room'];
    broker = await Mosquitto.start({ names, conf: listener.conf });
  });
  afterAll(async () => {
    await broker[Symbol.asyncDispose]();
    listener[Symbol.dispose]();
  });

  function publish(name: string, to: string, message: string) {
    return run('mosquitto_pub', [
      ...clientOf(broker, name),
      '-V',
      '5',
      '-q',
      '1',
      '-r',
      '-t',
      to,
      '-m',
      message,
    ]);
  }

  test('a station writes below its own name only, and survives there a killed broker', async () => {
    expect(publish('d/p/s', topic, 'own').stderr).toBe('');
    expect(publish('d/p/s', 'dock/v1/d/p/other/status', 'foreign').stderr).toContain('Not authorized');
    const file = join(broker.folder, 'mosquitto.db');
    await until('it is on disk', () => existsSync(file) && readFileSync(file, 'latin1').includes('own'));
    await broker.kill();
    await broker.up();
    const asked = [...clientOf(broker, 'monitoring'), '-t', 'dock/v1/+/+/+/status', '-v', '-W', '2'];
    expect(run('mosquitto_sub', [...asked, '--retained-only']).stdout).toBe(`${topic} own\n`);
  });

  test('the control room may ask, collectors may not', () => {
    expect(publish('control-room', 'dock/v1/d/p/s/cmd/pull', 'x').stderr).toBe('');
    expect(publish('monitoring', 'dock/v1/d/p/s/cmd/pull', 'x').stderr).toContain('Not authorized');
  });

  test('who has no certificate is not heard', () => {
    const ca = join(broker.folder, 'ca.crt');
    const at = ['-h', '127.0.0.1', '-p', String(broker.port), '--cafile', ca];
    expect(run('mosquitto_pub', [...at, '-t', topic, '-m', 'x']).status).not.toBe(0);
  });

  test('who has a password instead, on loopback, reads only', () => {
    expect(publish('d/p/s', topic, 'own').stderr).toBe('');
    const at = ['-h', '127.0.0.1', '-p', String(listener.port), '-t', topic];
    const read = [...at, '-W', '2', '-C', '1'];
    const { user, password } = listener;
    expect(run('mosquitto_sub', [...read, '-u', user, '-P', password]).stdout).toBe('own\n');
    expect(run('mosquitto_sub', [...read, '-u', user, '-P', 'wrong']).stdout).toBe('');
    expect(run('mosquitto_sub', read).stdout).toBe('');
    const write = [...at, '-V', '5', '-q', '1', '-u', user, '-P', password, '-m', 'x'];
    expect(run('mosquitto_pub', write).stderr).toContain('Not authorized');
  });
});

function run(command: string, args: readonly string[]) {
  return spawnSync(command, args, { encoding: 'utf8', timeout: 60_000 });
}
