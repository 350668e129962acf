/**
 * What the page of the camera group says about the agent: repetition, sizes and lists with unreadable entries.
 * A camera maker relies on it as much as on the bytes.
 */
import { describe, expect, test } from 'vitest';
import { openSmpCamera } from '../../dock/camera/smp-camera.ts';
import { SmpClient } from '../../dock/camera/smp-client.ts';
import { consoleTransport, defaultConsoleOptions } from '../../dock/camera/console-transport.ts';
import type { SmpTransport } from '../../dock/camera/smp-transport.ts';
import type { Clock } from '../../dock/clock.ts';
import type { ByteLink } from '../../dock/link.ts';
import {
  cameraHealth,
  cameraIdentity,
  cameraListRecordings,
  cameraReadClock,
  cameraSetClock,
} from '../../protocol/smp/camera-group.ts';
import { decodeCborMap, encodeCborMap } from '../../protocol/smp/cbor.ts';
import type { AnySmpCommand } from '../../protocol/smp/command.ts';
import { encodeConsoleFrame } from '../../protocol/smp/console-frame.ts';
import { smpCommonError } from '../../protocol/smp/failure.ts';
import { decodeSmpMessage, encodeSmpMessage, smpOp, type SmpMessage } from '../../protocol/smp/message.ts';
import { osParameters } from '../../protocol/smp/os-group.ts';
import { pageText } from './spec-page.ts';

/** Pauses take no time; they are noted, except those that an answer cuts short. */
class InstantClock implements Clock {
  readonly pauses: number[] = [];
  now(): number {
    return 0;
  }
  monotonic(): number {
    return 0;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await new Promise(setImmediate);
    signal?.throwIfAborted();
    this.pauses.push(ms);
  }
}

/** The body of an answer; undefined is silence. */
type Camera = (request: SmpMessage) => Record<string, unknown> | undefined;

/** The messages that a camera got, and a transport to it. */
function connect(camera: Camera): { requests: SmpMessage[]; transport: SmpTransport } {
  const requests: SmpMessage[] = [];
  let receive: (message: Uint8Array) => void = () => undefined;
  const transport: SmpTransport = {
    name: 'scripted camera',
    closed: new Promise(() => undefined),
    maxMessageBytes: 8192,
    overheadBytes: 4,
    wireTimeMs: () => 0,
    onMessage: (receiver) => (receive = receiver),
    send: async (bytes) => {
      const { message } = decodeSmpMessage(bytes);
      requests.push(message);
      const body = camera(message);
      if (!body) return;
      const op = message.op === smpOp.readRequest ? smpOp.readResponse : smpOp.writeResponse;
      receive(encodeSmpMessage({ ...message, op, payload: encodeCborMap(body) }));
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  return { requests, transport };
}

function isRequestOf(command: AnySmpCommand, { groupId, commandId, op }: SmpMessage): boolean {
  const expectedOp = command.access === 'read' ? smpOp.readRequest : smpOp.writeRequest;
  return groupId === command.groupId && commandId === command.commandId && op === expectedOp;
}

const { signal } = new AbortController();
const busy = { rc: smpCommonError.busy };

const samples = [
  { command: cameraHealth, body: {}, success: {} },
  { command: cameraReadClock, body: {}, success: { ms: 5, res: 1 } },
  { command: cameraSetClock, body: { ms: 5 }, success: {} },
] as const;

describe('repetition', () => {
  const repeatable = samples.filter(({ command }) => command.repeat === 'safe');

  test.each(repeatable)('$command.name is asked again after 100, 200 and 300 ms of busy', async (sample) => {
    const clock = new InstantClock();
    const { requests, transport } = connect(() => (requests.length < 4 ? busy : sample.success));
    const client = new SmpClient(transport, clock);
    const command: AnySmpCommand = sample.command;
    expect(await client.call(command, sample.body, signal)).toEqual(sample.success);
    expect(requests).toHaveLength(4);
    expect(clock.pauses).toEqual([100, 200, 300]);
    expect(pageText).toContain('after 100, 200 and 300 ms');
    expect(new Set(requests.map(({ sequence }) => sequence)).size).toBe(4);
    expect(new Set(requests.map(({ payload }) => Buffer.from(payload).toString('hex'))).size).toBe(1);
  });

  test.each(samples)('$command.name is reported when the camera stays busy', async (sample) => {
    const { requests, transport } = connect(() => busy);
    const command: AnySmpCommand = sample.command;
    await expect(
      new SmpClient(transport, new InstantClock()).call(command, sample.body, signal),
    ).rejects.toMatchObject({ code: 'smp.busy' });
    expect(requests).toHaveLength(sample.command.repeat === 'never' ? 1 : 4);
  });

  test.each(samples)('$command.name is sent again after silence as the page says', async (sample) => {
    const { requests, transport } = connect(() => undefined);
    const command: AnySmpCommand = sample.command;
    await expect(
      new SmpClient(transport, new InstantClock()).call(command, sample.body, signal),
    ).rejects.toMatchObject({ code: 'wire.timeout' });
    expect(requests).toHaveLength(sample.command.repeat === 'never' ? 1 : 4);
  });
});

describe('sizes', () => {
  const largestBytes = 8192;

  function receivedBytes(messageBytes: number): number[] {
    let deliver: (chunk: Uint8Array) => void = () => undefined;
    const link: ByteLink = {
      name: 'line',
      closed: new Promise(() => undefined),
      onBytes: (receiver) => (deliver = receiver),
      write: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
    const received: number[] = [];
    const transport = consoleTransport(link, new InstantClock(), defaultConsoleOptions);
    transport.onMessage(({ length }) => received.push(length));
    for (const line of encodeConsoleFrame(new Uint8Array(messageBytes))) deliver(line);
    return received;
  }

  test('a message of the largest size on the page is received, a longer one is dropped', () => {
    expect(pageText).toContain(`never more than ${largestBytes} bytes`);
    expect(receivedBytes(largestBytes)).toEqual([largestBytes]);
    expect(receivedBytes(largestBytes + 1)).toEqual([]);
  });

  test('no request is longer, whatever buffer the camera states', async () => {
    const { requests, transport } = connect((request) =>
      isRequestOf(osParameters, request) ? { buf_size: 65_535, buf_count: 2 } : {},
    );
    const client = new SmpClient(transport, new InstantClock());
    await client.negotiate(signal);
    await client.call(cameraSetClock, { ms: 5 }, signal);
    const tooLong = { ...cameraSetClock, name: 'clock with a long body' } as AnySmpCommand;
    await expect(client.call(tooLong, { filler: 'x'.repeat(largestBytes) }, signal)).rejects.toMatchObject({
      code: 'wire.too-large',
    });
    expect(requests).toHaveLength(2);
  });
});

describe('a list with unreadable entries', () => {
  const entries = [
    { id: '1', path: '/a', size: 1, kind: 0 },
    { id: '2', path: '/b', size: -1, kind: 0 },
    null,
    { id: '4', path: '/d', size: 4, kind: 1 },
  ];
  const identity = { serial: 'KZ-BC-004711', model: 'BC-20', fw: '1', hw: 'A', can: [] };

  /** Two entries on each page. */
  function answer(request: SmpMessage): Record<string, unknown> {
    if (isRequestOf(osParameters, request)) return { buf_size: 2048, buf_count: 1 };
    if (isRequestOf(cameraIdentity, request)) return identity;
    if (!isRequestOf(cameraListRecordings, request)) return { rc: smpCommonError.notSupported };
    const from = Number(decodeCborMap(request.payload)['from']);
    return { total: entries.length, gen: 1, list: entries.slice(from, from + 2) };
  }

  test('the others are listed, each unreadable one has its defect, and all of them are counted', async () => {
    const { requests, transport } = connect(answer);
    await using camera = await openSmpCamera(transport, new InstantClock(), signal);
    const listed = await Array.fromAsync(camera.recordings(signal));
    expect(listed.map(({ id, defect }) => (defect === undefined ? id : 'refused'))).toEqual([
      '1',
      'refused',
      'refused',
      '4',
    ]);
    const pages = requests.filter((request) => isRequestOf(cameraListRecordings, request));
    expect(pages.map(({ payload }) => decodeCborMap(payload)['from'])).toEqual([0, 2]);
  });
});
