import { randomInt, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import { expect, test } from 'vitest';
import { askForResult } from '../../agent/control/client.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { stationTopics } from '../../protocol/mqtt/topics.ts';
import { agentCommand } from '../../scripts/agent-command.ts';
import { AgentProcess } from '../crash/agent-process.ts';
import { until } from '../report/monitor.ts';
import { Consumer } from './consumer.ts';
import { Mosquitto } from './mosquitto.ts';

// The real agent and the real broker, killed at any moment. What a broker acknowledged and lost with its last second is
// asked for again by the consumer, who knows by the numbers that it is missing.

const topics = stationTopics({ department: 'd', post: 'p', station: 's' });
/** With four cameras each, fewer than a post of 401 may have. */
const rounds = 12;

/** The agent as `npm run agent` starts it; its events come from cameras that dockctl enrols. */
class AgentOf implements AsyncDisposable {
  readonly #socketPath: string;
  readonly #configFile: string;
  #process: AgentProcess | undefined;
  #cameras = 0;

  constructor({ folder, url }: Mosquitto) {
    const home = join(folder, 'station');
    mkdirSync(home);
    this.#socketPath = join(home, 'control.sock');
    this.#configFile = join(home, 'station.toml');
    const [ca_file, cert_file, key_file] = ['ca.crt', 'd-p-s.crt', 'd-p-s.key'].map((name) =>
      join(folder, name),
    );
    const config = {
      station: { department: 'd', post: 'p', name: 's' },
      post: { headcount: 401 },
      state: { folder: home },
      vault: { folder: join(home, 'vault'), reserve_bytes: 0 },
      clock: { station_clock: 'trusted' },
      broker: { url, ca_file, cert_file, key_file },
    };
    writeFileSync(this.#configFile, stringify(config as Parameters<typeof stringify>[0]));
  }

  async start(): Promise<void> {
    this.#process = new AgentProcess(agentCommand(this.#configFile));
    await this.#until('the agent answers', (waiting) => waiting !== undefined);
  }

  kill(): Promise<void> | undefined {
    return this.#process?.kill();
  }

  /** Which of these the agent said to have done. */
  async enrol(count: number): Promise<string[]> {
    const serials = Array.from({ length: count }, () => `BC-${++this.#cameras}`);
    const asked = serials.map((serialNumber) => this.#ask('enrol', { serialNumber, by: 'officer' }));
    const answers = await Promise.allSettled(asked);
    return serials.filter((_, index) => answers[index]?.status === 'fulfilled');
  }

  /** Until nothing waits for the broker any more. */
  delivered(): Promise<void> {
    return this.#until('all delivered', (waiting) => waiting === 0);
  }

  /** How many events wait for the broker; undefined while the agent does not answer. */
  async #until(what: string, isIt: (waitingEvents: number | undefined) => boolean): Promise<void> {
    for (let tries = 0; tries < 600; tries++) {
      const status = (await this.#ask('status', {}).catch(() => undefined)) as
        { broker: { waitingEvents: number } } | undefined;
      if (isIt(status?.broker.waitingEvents)) return;
      await systemClock.sleep(50);
    }
    throw new Error(`${what}: not in time
${this.#process?.log}`);
  }

  #ask(name: 'status' | 'enrol', body: object): Promise<unknown> {
    return askForResult(this.#socketPath, name, body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

test(`of ${rounds} kills of the agent and as many of the broker no event is lost, and none becomes another`, async () => {
  await using broker = await Mosquitto.start();
  await using consumer = await Consumer.of(broker);
  await using agent = new AgentOf(broker);
  const acknowledged: string[] = [];
  for (let round = 0; round < rounds; round++) {
    await agent.start();
    const enrolled = agent.enrol(4);
    await systemClock.sleep(randomInt(150));
    await (round % 2 === 0 ? agent.kill() : broker.kill());
    acknowledged.push(...(await enrolled));
    await systemClock.sleep(randomInt(150));
    await (round % 2 === 0 ? broker.kill() : agent.kill());
    await broker.up();
  }
  await agent.start();
  acknowledged.push(...(await agent.enrol(1)));
  await agent.delivered();
  const newest = (): number => Math.max(0, ...consumer.events.map(({ seq }) => seq));
  await until('the last camera', () =>
    consumer.events.some(({ data }) => data['serialNumber'] === `BC-${4 * rounds + 1}`),
  );
  // In order, but for what came again.
  let last = 0;
  const heard = new Set<string>();
  for (const { seq, id } of consumer.events) {
    if (!heard.has(id)) expect(seq).toBeGreaterThan(last);
    heard.add(id);
    last = Math.max(last, seq);
  }
  const [fromSeq] = consumer.missing(newest());
  if (fromSeq !== undefined) {
    const request = { v: 1, id: randomUUID(), ts: new Date().toISOString(), by: 'test', args: { fromSeq } };
    await consumer.client.publishAsync(topics.command('replay'), JSON.stringify(request), { qos: 1 });
  }
  await until('what was missing', () => consumer.missing(newest()).length === 0);
  const ids = new Map<number, string>();
  for (const { seq, id } of consumer.events) {
    expect(ids.get(seq) ?? id).toBe(id);
    ids.set(seq, id);
  }
  expect(new Set(ids.values()).size).toBe(ids.size);
  const told = consumer.events.filter(({ type }) => type === 'camera-enrolled');
  expect(told.map(({ data }) => data['serialNumber'])).toEqual(expect.arrayContaining(acknowledged));
  expect(acknowledged.length).toBeGreaterThan(0);
});
