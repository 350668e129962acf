// The commands of the page of the contract, as they stand there, on the broker as it is handed over.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Mosquitto } from '../mosquitto/mosquitto.ts';
import { MonitoredStation } from './monitored-station.ts';
import { clientOf, hasMosquitto } from './mosquitto-clients.ts';

const page = readFileSync(new URL('../../protocol/mqtt/contract.md', import.meta.url), 'utf8');
const [, block = ''] = /## mosquitto_sub, mosquitto_pub\n+```sh\n([\s\S]*?)```/.exec(page) ?? [];
const lines = block.trim().split('\n');
const heard = lines.filter((line) => line.startsWith('mosquitto_sub'));
const name = 'almaty/khorgos/dock-1';
const answers = `mosquitto_sub -h BROKER -q 1 -i answers -c -t dock/v1/${name}/rsp/pull`;

describe.skipIf(!hasMosquitto)('recipes', () => {
  let broker: Mosquitto;
  let station: MonitoredStation;
  beforeAll(async () => {
    broker = await Mosquitto.start({ names: [name, 'monitoring', 'control-room'] });
    // From here on the broker keeps for them what is not retained.
    for (const line of [...heard, answers].filter((one) => one.includes(' -c ')))
      await run(`${line} -E`, 'monitoring');
    station = new MonitoredStation(broker, { department: 'almaty', post: 'khorgos', station: 'dock-1' }, 1);
    station.plug(1, 'BC-1', { wrongDigest: true });
  });
  afterAll(async () => {
    await station[Symbol.asyncDispose]();
    await broker[Symbol.asyncDispose]();
  });

  /** Runs a line of the page, for this broker, until it has said one thing. */
  async function run(line: string, as: string): Promise<string> {
    const own = line
      .replace('-h BROKER', clientOf(broker, as).join(' '))
      .replace('DEPARTMENT/POST/STATION', name)
      .replace('mosquitto_sub', 'mosquitto_sub -C 1 -W 30');
    const child = spawn('bash', ['-c', own], { env: { ...process.env, USER: 'operator' } });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    child.on('close', (status) => {
      if (status === 0) resolve(said);
      else reject(new Error(`${line}: ${status}: ${said}`));
    });
    return promise;
  }

  test.each(heard)('%s', async (line) => {
    expect(await run(line, 'monitoring')).toMatch(/"v":1/);
  });

  test('what is asked by mosquitto_pub is answered', async () => {
    const asked = lines.filter((line) => line.startsWith('mosquitto_pub'));
    expect(asked.length).toBe(1);
    await run(`mosquitto_sub -h BROKER -t dock/v1/${name}/status`, 'monitoring');
    for (const line of asked) await run(line, 'control-room');
    expect(JSON.parse(await run(answers, 'monitoring'))).toMatchObject({ command: 'pull', status: 'ok' });
  });
});
