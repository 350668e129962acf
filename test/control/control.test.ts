import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { QuotaAnswer, StatusAnswer, VerifyAnswer } from '../../agent/cli/answers.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { storeOf } from '../support/recordings.ts';
import { TestStation } from '../support/test-station.ts';

// The control socket is reached by whoever is in the group of the service. Promise 6: no input from a user can crash,
// hang or fill the agent.

let opened = 0;
/** A disk that takes its time to read back, so that there is a middle to leave in. */
const slowDisk: typeof nodeDisk = {
  ...nodeDisk,
  open: async (path, mode) => {
    if (mode === 'read') {
      opened++;
      await systemClock.sleep(10);
    }
    return await nodeDisk.open(path, mode);
  },
};

let station: TestStation;
const warnings: Error[] = [];
const onWarning = (warning: Error): number => warnings.push(warning);

beforeAll(async () => {
  process.on('warning', onWarning);
  station = await TestStation.start({ host: { disk: slowDisk } });
  const names = Array.from({ length: 40 }, (_, index) => [`${index}.MP4`, 10] as const);
  const { store } = storeOf(Object.fromEntries(names));
  station.plug(1, sampleCamera({ serialNumber: 'BC-1', store, clockResolutionMs: 1 }, systemClock));
  await station.untilPhase(1, 'ready');
});
afterAll(async () => {
  await station[Symbol.asyncDispose]();
  process.off('warning', onWarning);
});

function open(): Socket {
  return connect(station.agent.socketPath).on('error', () => undefined);
}

/** Sends bytes as they are and returns all that comes back until the other side closes. */
async function send(bytes: string | Buffer): Promise<string> {
  const socket = open();
  socket.write(bytes);
  return await text(socket).catch(() => 'cut off');
}

function post(path: string, body: string, method = 'POST'): string {
  const head = `${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n`;
  return `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

const coded = (code: string): RegExp => new RegExp(`"kind":"error","code":"${code.replace('.', '\\.')}"`);

describe('the control socket', () => {
  afterEach(async () => {
    // Whatever happened: the agent is there and answers.
    expect((await station.ask<StatusAnswer>('status')).recordings).toBe(40);
    expect(warnings).toEqual([]);
  });

  test('is for the owner and the group alone', () => {
    expect(statSync(station.agent.socketPath).mode & 0o777).toBe(0o660);
  });

  test.each([
    ['garbage', Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * 89) & 0xff))],
    ['zeros', Buffer.alloc(100_000)],
    ['half a request line', 'POST /v1/sta\r\n\r\n'],
    ['an endless header', `POST /v1/status HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(200_000)}`],
    [
      'two lengths',
      'POST /v1/status HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx',
    ],
    ['a bad chunk', 'POST /v1/status HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n'],
  ])('cuts off who sends %s', async (_what, bytes) => {
    expect(await send(bytes)).not.toMatch(/"kind":"result"/);
  });

  test.each([
    ['an unknown request', post('/v1/reboot', '{}'), 'control.unknown'],
    ['a name from the prototype', post('/v1/constructor', '{}'), 'control.unknown'],
    ['another path', post('/../../etc/passwd', '{}'), 'control.unknown'],
    ['another method', post('/v1/status', '', 'GET'), 'control.unknown'],
    ['a method that deletes', post('/v1/status', '{}', 'DELETE'), 'control.unknown'],
    ['no JSON', post('/v1/status', '{"a":'), 'control.bad-request'],
    ['bytes that are no text', post('/v1/status', '\ufffd\u0000'), 'control.bad-request'],
    ['an array', post('/v1/status', '[]'), 'control.bad-request'],
    ['an unknown key', post('/v1/status', '{"sudo":true}'), 'control.bad-request'],
    ['a key of the prototype', post('/v1/status', '{"__proto__":{"x":1}}'), 'control.bad-request'],
    ['too high a limit', post('/v1/recordings', '{"limit":1e9}'), 'control.bad-request'],
    ['an empty serial number', post('/v1/enrol', '{"serialNumber":"","by":"x"}'), 'control.bad-request'],
    [
      'a hostile serial number',
      post('/v1/enrol', '{"serialNumber":"../x","by":"x"}'),
      'camera.identity-invalid',
    ],
    [
      'another cause',
      post('/v1/retire', '{"serialNumber":"A","by":"x","cause":"sold"}'),
      'control.bad-request',
    ],
    [
      'a stranger to retire',
      post('/v1/retire', '{"serialNumber":"A","by":"x","cause":"lost"}'),
      'enrolment.unknown-camera',
    ],
  ])('answers %s with a code', async (_what, request, code) => {
    const answer = await send(request);
    expect(answer).toMatch(coded(code));
    expect(answer).toMatch(/"nextStep":"[^"]+"/);
  });

  test('does not take in a body without end', async () => {
    const socket = open();
    socket.resume();
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.write('POST /v1/status HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    let sent = 0;
    const pump = (): void => {
      while (socket.writable && sent++ < 10_000)
        if (!socket.write(chunk)) return void socket.once('drain', pump);
    };
    pump();
    await closed;
    expect(sent).toBeLessThan(100);
  });

  test('gives the place back of clients that connect in crowds and say nothing', async () => {
    const idle = Array.from({ length: 200 }, open);
    await systemClock.sleep(200);
    await station.until('an answer', async () => await station.ask('bays').catch(() => undefined));
    for (const socket of idle) socket.destroy();
  });

  test('answers 200 at once or cuts them off, and is there for the next', async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, () => send(post('/v1/status', '{}'))));
    const good = answers.filter((answer) => answer.includes('"kind":"result"'));
    expect(good.length).toBeGreaterThanOrEqual(32);
    expect(good.length + answers.filter((answer) => answer === '' || answer === 'cut off').length).toBe(200);
  });

  test('stops verifying when nobody listens any more', async () => {
    opened = 0;
    const socket = open();
    socket.write(post('/v1/verify', '{}'));
    await new Promise<void>((resolve) => {
      socket.on('data', (chunk) => {
        if (String(chunk).includes('"done":3')) resolve();
      });
    });
    socket.destroy();
    await systemClock.sleep(300);
    const openedThen = opened;
    expect(openedThen).toBeLessThan(30);
    await systemClock.sleep(100);
    expect(opened).toBe(openedThen);
    expect(await station.ask<VerifyAnswer>('verify')).toMatchObject({ checked: 40, intact: 40 });
  });

  test('makes slow readers wait and loses nothing of what they ask for', async () => {
    // Refusals are long events: enough of them fill every buffer on the way.
    for (let camera = 0; camera < 400; camera++) {
      await station.ask('enrol', { serialNumber: `X${camera}`, by: 'test' });
    }
    expect(await station.ask<QuotaAnswer>('quota')).toMatchObject({ enrolled: 5 });
    const never = open().pause();
    never.write(post('/v1/events', '{"after":0,"limit":10000,"follow":true}'));

    const slow = open().pause();
    slow.write(post('/v1/events', '{"after":0,"limit":10000}'));
    let answer = '';
    for (let isOpen = true; isOpen;) {
      await systemClock.sleep(2);
      const chunk: Buffer | null = slow.read(2000) ?? slow.read();
      answer += chunk?.toString('latin1') ?? '';
      isOpen = !slow.readableEnded && !slow.destroyed;
    }
    const seqs = [...answer.matchAll(/"seq":(\d+)/g)].map(([, seq]) => Number(seq));
    expect(seqs.length).toBeGreaterThan(400);
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    never.destroy();
  });
});

describe('the state folder of a running agent', () => {
  test('is not given to a second one', async () => {
    await expect(TestStation.start({ folder: station.folder })).rejects.toMatchObject({
      code: 'state.locked',
    });
    expect((await station.ask<StatusAnswer>('status')).boot).toBe(1);
  });
});

describe('an agent', () => {
  test('takes over the socket that a killed one left behind, and takes it away when it ends', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dock-stale-'));
    mkdirSync(join(folder, 'ports'));
    const path = join(folder, 'control.sock');
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    expect(existsSync(path)).toBe(true);
    {
      await using next = await TestStation.start({ folder });
      expect(await next.ask<StatusAnswer>('status')).toMatchObject({ boot: 1 });
    }
    expect(existsSync(path)).toBe(false);
    rmSync(folder, { recursive: true });
  });

  test('stops without waiting for whoever is connected', async () => {
    const warned: string[] = [];
    const log = {
      info: () => undefined,
      warn: (what: string) => void warned.push(what),
      error: () => undefined,
    };
    const other = await TestStation.start({ host: { log } });
    const follower = connect(other.agent.socketPath);
    follower.write(post('/v1/events', '{"follow":true}'));
    await new Promise<void>((resolve) => follower.once('data', () => resolve()));
    const idle = connect(other.agent.socketPath);
    for (const socket of [follower, idle]) socket.on('error', () => undefined);
    await other[Symbol.asyncDispose]();
    expect(warned).toEqual([]);
  });
});
