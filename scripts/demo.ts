/**
 * A docking station at work, on this machine alone: the real agent in a process of its own, six simulated cameras on
 * pseudo-terminals, a post whose norm allows five. Exits 0 only if every figure adds up, checked from the outside:
 * by the files on disk, the clocks of the cameras, the messages at the broker and what dockctl says.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs, promisify, styleText } from 'node:util';
import { createLogUpdate } from 'log-update';
import mqtt from 'mqtt';
import { askForResult } from '../agent/control/client.ts';
import type {
  BaysAnswer,
  CamerasAnswer,
  QuotaAnswer,
  RecordingsAnswer,
  SessionsAnswer,
  StatusAnswer,
} from '../agent/cli/answers.ts';
import { bytes, offset, table } from '../agent/cli/output.ts';
import { agentCommand } from './agent-command.ts';
import type { EventEnvelope } from '../protocol/mqtt/events.ts';
import { openPty } from '../dock/host/pty.ts';
import { systemClock, systemRandom } from '../dock/host/system-clock.ts';
import { sampleCamera, sampleStore } from '../dock/simulator/sample-camera.ts';
import { serveCamera } from '../dock/simulator/serve.ts';
import type { SimulatedCamera } from '../dock/simulator/simulated-camera.ts';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    stay: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (flags.help) {
  process.stdout.write(`npm run demo [-- --json] [-- --stay]

  --json   print one JSON object with all figures at the end
  --stay   keep the station running afterwards, to look around with dockctl; end it with Ctrl-C
`);
  process.exit(0);
}

const headcount = 40;
const timeLimitMs = 55_000;
const folder = join(import.meta.dirname, '..', 'dock-state', 'demo');
const root = join(import.meta.dirname, '..');
const isLive = process.stdout.isTTY && !flags.json;
const say = (text: string): void => {
  if (!flags.json) process.stdout.write(`${text}\n`);
};

interface DockedCamera {
  readonly bay: number;
  readonly camera: SimulatedCamera;
  readonly serialNumber: string;
  /** Digests of what it holds when it docks, by path. */
  readonly digests: ReadonlyMap<string, string>;
}

async function makeCamera(bay: number): Promise<DockedCamera> {
  const serialNumber = `BC-100${bay}`;
  const store = await sampleStore({
    seed: bay,
    count: 3,
    sizeBytes: 700_000 + bay * 250_000,
    startedAt: Date.UTC(2026, 10, 22, 3, bay),
  });
  const digests = new Map(
    store.list().map((held) => [
      held.path,
      createHash('sha256')
        .update(store.read(held, 0, held.sizeBytes))
        .digest('hex'),
    ]),
  );
  const camera = sampleCamera(
    {
      serialNumber,
      store,
      clockOffsetMs: [4200, -1800, 61_000, -350, 7 * 3_600_000, 900][bay - 1] ?? 0,
      clockDriftPpm: 12 * bay,
      // One camera in three has the camera group's millisecond clock; the others show whole seconds.
      clockResolutionMs: bay % 3 === 0 ? 1 : 1000,
      batteryPercent: 20 + 10 * bay,
      hasKey: bay !== 4,
    },
    systemClock,
  );
  return { bay, camera, serialNumber, digests };
}

/** Where the cameras are: links to terminals, whose numbers belong to somebody else once this process has ended. */
function emptyPorts(): void {
  rmSync(join(folder, 'ports'), { recursive: true, force: true });
  mkdirSync(join(folder, 'ports'), { recursive: true });
}

function writeConfig(): string {
  rmSync(folder, { recursive: true, force: true });
  emptyPorts();
  const file = join(folder, 'config.toml');
  const bays = [1, 2, 3, 4, 5, 6].map(
    (bay) => `[[bay]]\nnumber = ${bay}\nserial = { path = "ports/bay${bay}", baud_rate = 921600 }\n`,
  );
  writeFileSync(
    file,
    `# Written by npm run demo.
[station]
department = "almaty"
post = "kordai"
name = "station-1"

[post]
headcount = ${headcount}
enrolment = "automatic"

[state]
folder = "."

[vault]
removal = "when-verified"

[clock]
# This machine may have no NTP; a real station proves its clock.
station_clock = "trusted"
measure_for_ms = 3500

[broker]
embedded_port = 0

[session]
presence_ms = 300

${bays.join('\n')}`,
  );
  return file;
}

function startAgent(config: string): ChildProcess {
  const log = openSync(join(folder, 'agent.log'), 'a');
  const { command, args, options } = agentCommand(config);
  const agent = spawn(command, args, { ...options, stdio: ['ignore', 'ignore', log] });
  process.on('exit', () => {
    agent.kill('SIGKILL');
    emptyPorts();
  });
  // A signal ends this process without that event; --stay waits for SIGINT itself.
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
    if (signal !== 'SIGINT' || !flags.stay) process.on(signal, () => process.exit(1));
  }
  return agent;
}

const socketPath = join(folder, 'control.sock');
const ask = async <T>(name: Parameters<typeof askForResult>[1], body: object = {}): Promise<T> =>
  (await askForResult(socketPath, name, body)) as T;

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + timeLimitMs;
  while (performance.now() < deadline) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    await systemClock.sleep(100);
  }
  throw new Error(`${what}: not within ${timeLimitMs / 1000} s; see ${join(folder, 'agent.log')}`);
}

/** Everything the station says at the broker, as central monitoring would hear it. */
async function listen(url: string): Promise<{ retained: Map<string, unknown>; events: EventEnvelope[] }> {
  const heard = { retained: new Map<string, unknown>(), events: [] as EventEnvelope[] };
  const client = await mqtt.connectAsync(url, { protocolVersion: 4 });
  client.on('message', (topic, payload) => {
    if (payload.length === 0) return; // the end of a retained message
    const message: unknown = JSON.parse(payload.toString('utf8'));
    if (topic.includes('/event/')) heard.events.push(message as EventEnvelope);
    else heard.retained.set(topic, message);
  });
  await client.subscribeAsync('dock/v1/#', { qos: 1 });
  return heard;
}

const restPhases = ['ready', 'refused', 'attention'];

/** Shows the bays until all are at rest: a live table on a terminal, a line for each change elsewhere. */
async function watchBays(): Promise<void> {
  const live = createLogUpdate(process.stdout);
  const shown = new Map<number, string>();
  await until('all bays at rest', async () => {
    const { bays } = await ask<BaysAnswer>('bays');
    if (isLive) live(drawBays(bays));
    for (const bay of bays) {
      const text = `${bay.serialNumber ?? ''} ${bay.phase}`;
      if (isLive || shown.get(bay.bay) === text || bay.phase === 'empty') continue;
      shown.set(bay.bay, text);
      say(`  bay ${bay.bay}  ${bay.serialNumber ?? '-'}  ${bay.phase}${bay.code ? `  ${bay.code}` : ''}`);
    }
    return bays.every(({ phase }) => restPhases.includes(phase)) || undefined;
  });
  if (isLive) live.done();
}

function drawBays(bays: BaysAnswer['bays']): string {
  const colours: Readonly<Record<string, 'green' | 'red' | 'yellow' | 'cyan'>> = {
    ready: 'green',
    refused: 'red',
    attention: 'yellow',
  };
  return table(
    ['BAY', 'CAMERA', 'PHASE', 'PROGRESS', '', 'SPEED'],
    bays.map((bay) => {
      const share = bay.bytesPlanned > 0 ? bay.bytesDone / bay.bytesPlanned : 0;
      return [
        String(bay.bay),
        bay.serialNumber ?? '-',
        bay.phase,
        '█'.repeat(Math.round(share * 24)).padEnd(24, '·'),
        `${bay.recordingsDone}/${bay.recordingsListed}`,
        bay.bytesPerSecond > 0 ? `${bytes(bay.bytesPerSecond)}/s` : '',
      ];
    }),
    [0, 5],
  ).replace(/\b(ready|refused|attention)\b/g, (phase) => styleText(colours[phase] ?? 'cyan', phase));
}

interface CameraLine {
  readonly serialNumber: string;
  readonly bay: number;
  readonly enrolment: string;
  readonly listed: number;
  readonly stored: number;
  readonly held: number;
  readonly quarantined: number;
  readonly refused: number;
  readonly unaccounted: number;
  readonly removed: number;
  readonly storedBytes: number;
  readonly bytesPerSecond: number;
  readonly clockOffsetMs: number | null;
  readonly clockUncertaintyMs: number | null;
  readonly clockResidualMs: number | null;
  readonly clockResidualUncertaintyMs: number | null;
  /** The camera's clock now, as only the simulation can know it. */
  readonly trueClockOffsetMs: number;
}

async function main(): Promise<void> {
  const startedMs = performance.now();
  say('Making six cameras with three MP4 recordings each …');
  const cameras = await Promise.all([1, 2, 3, 4, 5, 6].map(makeCamera));
  const config = writeConfig();
  const agent = startAgent(config);
  const status = await until('the agent', () => ask<StatusAnswer>('status'));
  const heard = await listen(status.broker.url);
  say(
    `Station ${status.station.name} of post ${status.station.post} is up: headcount ${headcount}, quota ${status.quota.quota}.\n`,
  );

  // Five officers come back from their shift, and then a sixth.
  for (const docked of cameras.slice(0, 5)) dock(docked);
  await until('five enrolled', async () => (await ask<QuotaAnswer>('quota')).enrolled === 5 || undefined);
  for (const docked of cameras.slice(5)) dock(docked);
  await watchBays();

  const lines = await collect(cameras);
  const { recordings, vault } = await ask<RecordingsAnswer>('recordings', { limit: 1000 });
  const quota = await ask<QuotaAnswer>('quota');
  await until('all events at the broker', async () => {
    return (await ask<StatusAnswer>('status')).broker.waitingEvents === 0 || undefined;
  });
  const dockctl = await dockctlOutput(config);
  const elapsedSeconds = (performance.now() - startedMs) / 1000;

  const problems = audit({ cameras, lines, recordings, vault, quota, heard });
  const figures = {
    ok: problems.length === 0,
    problems,
    elapsedSeconds: Number(elapsedSeconds.toFixed(1)),
    headcount: quota.headcount,
    quota: quota.quota,
    row: quota.row,
    citation: quota.citation,
    enrolled: quota.enrolled,
    refused: quota.refused,
    cameras: lines,
    listed: sum(lines, 'listed'),
    stored: sum(lines, 'stored'),
    storedBytes: sum(lines, 'storedBytes'),
    mqttEvents: heard.events.length,
    mqttRetainedTopics: heard.retained.size,
    vault,
    config,
  };
  if (flags.json) process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
  else report(figures, dockctl, heard.events);

  if (flags.stay && !flags.json) await new Promise((resolve) => process.once('SIGINT', resolve));
  agent.kill('SIGTERM');
  await Promise.race([new Promise((resolve) => agent.once('exit', resolve)), systemClock.sleep(8000)]);
  process.exit(problems.length === 0 ? 0 : 1);
}

function dock({ bay, camera }: DockedCamera): void {
  void serveCamera(camera, openPty(join(folder, 'ports', `bay${bay}`)), systemRandom);
}

async function collect(cameras: readonly DockedCamera[]): Promise<CameraLine[]> {
  const { sessions } = await ask<SessionsAnswer>('sessions', { limit: 100 });
  const { cameras: known } = await ask<CamerasAnswer>('cameras');
  return cameras.map(({ serialNumber, bay, camera }) => {
    const session = sessions.find((candidate) => candidate.serialNumber === serialNumber);
    const { listed = 0, stored = 0, held = 0, quarantined = 0, refused = 0, unaccounted = 0 } = session ?? {};
    const { removed = 0, storedBytes = 0, pullMs = 0 } = session ?? {};
    return {
      serialNumber,
      bay,
      listed,
      stored,
      held,
      quarantined,
      refused,
      unaccounted,
      removed,
      storedBytes,
      enrolment: known.find((entry) => entry.serialNumber === serialNumber)?.enrolment ?? 'unknown',
      bytesPerSecond: pullMs > 0 ? Math.round((storedBytes / pullMs) * 1e3) : 0,
      clockOffsetMs: session?.clockOffsetMs ?? null,
      clockUncertaintyMs: session?.clockUncertaintyMs ?? null,
      clockResidualMs: session?.clockResidualMs ?? null,
      clockResidualUncertaintyMs: session?.clockResidualUncertaintyMs ?? null,
      trueClockOffsetMs: (camera.options.deviceClock.exact() ?? 0) - systemClock.now(),
    };
  });
}

/** Every figure against what can be seen from outside the agent; what does not add up, in words. */
function audit(found: {
  cameras: readonly DockedCamera[];
  lines: readonly CameraLine[];
  recordings: RecordingsAnswer['recordings'];
  vault: string;
  quota: QuotaAnswer;
  heard: { retained: Map<string, unknown>; events: readonly EventEnvelope[] };
}): string[] {
  const problems: string[] = [];
  const check = (isTrue: boolean, problem: string): void => {
    if (!isTrue) problems.push(problem);
  };
  const { cameras, lines, recordings, vault, quota, heard } = found;
  check(
    quota.quota === 5 && quota.enrolled === 5,
    `${quota.enrolled} of ${quota.quota} enrolled, not 5 of 5`,
  );
  for (const [index, line] of lines.entries()) {
    const { serialNumber, listed, stored, held, quarantined, refused } = line;
    const isSixth = index === 5;
    check(line.enrolment === (isSixth ? 'refused' : 'enrolled'), `${serialNumber} is ${line.enrolment}`);
    check(listed === 3, `${serialNumber}: ${listed} listed, not 3`);
    check(listed === stored + held + quarantined + refused, `${serialNumber}: the account has a gap`);
    check(stored === (isSixth ? 0 : 3) && refused === (isSixth ? 3 : 0), `${serialNumber}: ${stored} stored`);
    const { camera, digests } = cameras[index]!;
    const left = camera.options.store.list().length;
    check(
      left === (isSixth ? 3 : 0) && line.removed === 3 - left,
      `${serialNumber}: ${left} left on the camera`,
    );
    for (const [path, sha256] of isSixth ? [] : digests) {
      const entry = recordings.find(
        (recording) => recording.serialNumber === serialNumber && recording.path === path,
      );
      const onDisk =
        entry &&
        createHash('sha256')
          .update(readFileSync(join(vault, entry.storedPath)))
          .digest('hex');
      check(onDisk === sha256, `${serialNumber} ${path}: the file on disk is not what the camera held`);
    }
    if (isSixth) {
      check(line.clockOffsetMs === null, `${serialNumber}: its clock was touched`);
      continue;
    }
    const error = Math.abs(line.trueClockOffsetMs - (line.clockResidualMs ?? Number.NaN));
    const bound = (line.clockResidualUncertaintyMs ?? 0) + 5;
    check(
      error <= bound,
      `${serialNumber}: clock off by ${line.trueClockOffsetMs.toFixed(1)} ms, not as measured`,
    );
  }
  const sequence = heard.events.map(({ seq }) => seq).sort((a, b) => a - b);
  check(new Set(sequence).size === sequence.length, 'an event came twice');
  check(
    sequence.every((seq, index) => index === 0 || seq === (sequence[index - 1] ?? 0) + 1),
    'the sequence of events at the broker has a gap',
  );
  const count = (type: string): number => heard.events.filter((event) => event.type === type).length;
  check(count('recording-stored') === 15, `${count('recording-stored')} recording-stored events, not 15`);
  check(count('enrolment-refused') === 1, `${count('enrolment-refused')} refusals at the broker, not 1`);
  check(
    [...heard.retained.keys()].filter((topic) => topic.includes('/camera/')).length === 6,
    'not all cameras are at the broker',
  );
  return problems;
}

async function dockctlOutput(config: string): Promise<string> {
  const dockctl = [join(root, 'agent/cli/dockctl.ts'), '--config', config, 'status'];
  const { stdout } = await promisify(execFile)(process.execPath, dockctl, {
    env: { ...process.env, NO_COLOR: '1' },
  });
  return stdout;
}

function report(
  figures: {
    cameras: readonly CameraLine[];
    problems: readonly string[];
    elapsedSeconds: number;
    vault: string;
    config: string;
    storedBytes: number;
  },
  dockctl: string,
  events: readonly EventEnvelope[],
): void {
  const refusal = events.find(({ type }) => type === 'enrolment-refused');
  say('');
  say(
    table(
      [
        'CAMERA',
        'BAY',
        '',
        'LISTED',
        '= STORED',
        '+ HELD',
        '+ QUARANTINED',
        '+ REFUSED',
        'BYTES',
        'SPEED',
        'CLOCK WAS',
        'CLOCK IS',
      ],
      figures.cameras.map((line) => [
        line.serialNumber,
        String(line.bay),
        line.enrolment,
        ...[line.listed, line.stored, line.held, line.quarantined, line.refused].map(String),
        bytes(line.storedBytes),
        line.bytesPerSecond > 0 ? `${bytes(line.bytesPerSecond)}/s` : '-',
        offset(line.clockOffsetMs, line.clockUncertaintyMs),
        offset(line.clockResidualMs, line.clockResidualUncertaintyMs),
      ]),
      [1, 3, 4, 5, 6, 7, 8, 9, 10, 11],
    ),
  );
  say(
    `\nRefused by the norm: ${String(refusal?.data['serialNumber'])}\n  ${String(refusal?.data['reason'])}`,
  );
  say(`\n$ dockctl status\n${dockctl}`);
  const sequence = events.map(({ seq }) => seq);
  say(
    `MQTT: events ${Math.min(...sequence)} to ${Math.max(...sequence)} arrived at a subscriber (${events.length}).`,
  );
  say(`Files: ${bytes(figures.storedBytes)} in ${figures.vault}`);
  say(
    figures.problems.length === 0
      ? styleText('green', `Everything adds up (${figures.elapsedSeconds} s).`)
      : styleText('red', `Does not add up:\n  ${figures.problems.join('\n  ')}`),
  );
  say(
    flags.stay
      ? '\nThe station keeps running. In another terminal:'
      : '\nTo look further, start the station again on what it has (npm run agent -- --config dock-state/demo/config.toml), then:',
  );
  for (const command of ['cameras', 'recordings --limit 5', 'events --limit 30', 'quota', 'verify']) {
    say(`  npm run -s dockctl -- --config dock-state/demo/config.toml ${command}`);
  }
}

function sum<K extends string>(rows: readonly Readonly<Record<K, number>>[], key: K): number {
  return rows.reduce((total, row) => total + row[key], 0);
}

main().catch((error: unknown) => {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
