// The client on a real framing over a cable in memory, against a server that does what each test says.
import { describe, expect, test } from 'vitest';
import { consoleTransport, defaultConsoleOptions } from '../../dock/camera/console-transport.ts';
import { SmpClient } from '../../dock/camera/smp-client.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { cameraRemove, cameraSetClock } from '../../protocol/smp/camera-group.ts';
import { decodeCborMap, encodeCborMap } from '../../protocol/smp/cbor.ts';
import { ConsoleDeframer, encodeConsoleFrame } from '../../protocol/smp/console-frame.ts';
import { decodeSmpMessage, encodeSmpMessage, type SmpMessage } from '../../protocol/smp/message.ts';
import { osEcho, osParameters, osReadDatetime } from '../../protocol/smp/os-group.ts';
import { memoryLinks } from '../support/memory-link.ts';

const { signal } = new AbortController();

interface Bench extends AsyncDisposable {
  readonly client: SmpClient;
  readonly requests: SmpMessage[];
  readonly send: (message: SmpMessage) => void;
  readonly unplug: () => Promise<void>;
}

/** A client and a server that hands each request to `serve`. */
function bench(
  serve: (request: SmpMessage, send: (message: SmpMessage) => void) => void,
  { answerTimeoutMs = 40, attempts = 4 } = {},
): Bench {
  const [host, device] = memoryLinks();
  const options = { ...defaultConsoleOptions, lineGapMs: 0 };
  const client = new SmpClient(consoleTransport(host, systemClock, options), systemClock, {
    answerTimeoutMs,
    attempts,
  });
  const requests: SmpMessage[] = [];
  const send = (message: SmpMessage): void =>
    void device.write(Buffer.concat(encodeConsoleFrame(encodeSmpMessage(message))));
  const deframer = new ConsoleDeframer({ maxMessageBytes: 8192, maxLineBytes: 512 });
  device.onBytes((chunk) => {
    for (const item of deframer.push(chunk)) {
      if (item.kind !== 'message') continue;
      const { message } = decodeSmpMessage(item.bytes);
      requests.push(message);
      serve(message, send);
    }
  });
  return {
    client,
    requests,
    send,
    unplug: async () => device[Symbol.asyncDispose](),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function answerTo(request: SmpMessage, body: Record<string, unknown>): SmpMessage {
  return { ...request, op: request.op + 1, payload: encodeCborMap(body) };
}

function echoed(request: SmpMessage): SmpMessage {
  return answerTo(request, { r: decodeCborMap(request.payload)['d'] });
}

describe('a request', () => {
  test('is sent again with a new sequence number when nothing answers, and then answered', async () => {
    await using line = bench((request, send) => {
      if (line.requests.length === 3) send(echoed(request));
    });
    expect(await line.client.call(osEcho, { d: 'hi' }, signal)).toEqual({ r: 'hi' });
    expect(new Set(line.requests.map(({ sequence }) => sequence)).size).toBe(3);
  });

  test('that nothing ever answers ends as wire.timeout after its attempts', async () => {
    await using line = bench(() => undefined, { answerTimeoutMs: 5, attempts: 3 });
    await expect(line.client.call(osEcho, { d: 'hi' }, signal)).rejects.toMatchObject({
      code: 'wire.timeout',
    });
    expect(line.requests).toHaveLength(3);
  });

  test('whose moment matters is never sent twice', async () => {
    await using line = bench(() => undefined, { answerTimeoutMs: 5 });
    await expect(line.client.call(cameraSetClock, { ms: 0 }, signal)).rejects.toMatchObject({
      code: 'wire.timeout',
    });
    expect(line.requests).toHaveLength(1);
  });

  test('to a busy server waits and asks again; one that must not be repeated is left to its caller', async () => {
    await using line = bench((request, send) =>
      send(line.requests.length < 3 ? answerTo(request, { rc: 10 }) : echoed(request)),
    );
    expect(await line.client.call(osEcho, { d: 'hi' }, signal)).toEqual({ r: 'hi' });
    await using busy = bench((request, send) => send(answerTo(request, { rc: 10 })));
    expect(await busy.client.request(cameraSetClock, { ms: 0 }, signal)).toMatchObject({
      kind: 'failed',
      code: 10,
    });
    expect(busy.requests).toHaveLength(1);
    await expect(busy.client.call(osReadDatetime, {}, signal)).rejects.toMatchObject({ code: 'smp.busy' });
  });

  test('larger than the server takes fails as wire.too-large without a byte on the wire', async () => {
    await using line = bench((request, send) => send(echoed(request)));
    const call = line.client.call(osEcho, { d: 'x'.repeat(250) }, signal);
    await expect(call).rejects.toMatchObject({ code: 'wire.too-large' });
    expect(line.requests).toEqual([]);
  });

  test('ends with the reason of its signal, and the client goes on', async () => {
    const stop = new AbortController();
    await using line = bench((request, send) => {
      if (stop.signal.aborted) send(echoed(request));
      else stop.abort(new Error('enough'));
    });
    await expect(line.client.call(osEcho, { d: 'a' }, stop.signal)).rejects.toThrow('enough');
    await expect(line.client.call(osEcho, { d: 'b' }, stop.signal)).rejects.toThrow('enough');
    expect(await line.client.call(osEcho, { d: 'c' }, signal)).toEqual({ r: 'c' });
  });

  test('ends as link.closed when the cable is pulled, as does every later one', async () => {
    await using line = bench(() => void line.unplug(), { answerTimeoutMs: 10_000 });
    await expect(line.client.call(osEcho, { d: 'a' }, signal)).rejects.toMatchObject({ code: 'link.closed' });
    await expect(line.client.call(osEcho, { d: 'b' }, signal)).rejects.toMatchObject({ code: 'link.closed' });
  });
});

describe('an answer', () => {
  test.for<[string, (request: SmpMessage) => Partial<SmpMessage>]>([
    ['sequence', ({ sequence }) => ({ sequence: (sequence + 1) & 0xff })],
    ['group', () => ({ groupId: 64 })],
    ['command', () => ({ commandId: 3 })],
    ['operation', () => ({ op: 1 })],
    ['direction', () => ({ op: 2 })],
  ])('with another %s is dropped and counted', async ([, wrong]) => {
    await using line = bench((request, send) => {
      send({ ...answerTo(request, { r: 'forged' }), ...wrong(request) });
      send(echoed(request));
    });
    expect(await line.client.call(osEcho, { d: 'true' }, signal)).toEqual({ r: 'true' });
    expect(line.client.strayMessages).toBe(1);
  });

  test('that comes twice, or when nothing was asked, is dropped and counted', async () => {
    await using line = bench((request, send) => {
      send(echoed(request));
      send(echoed(request));
    });
    for (let round = 0; round < 20; round++) {
      expect(await line.client.call(osEcho, { d: `${round}` }, signal)).toEqual({ r: `${round}` });
    }
    expect(line.client.strayMessages).toBeGreaterThanOrEqual(19);
  });

  test('that comes too late does not answer the next question', async () => {
    await using line = bench(
      (request, send) => {
        const isFirst = line.requests.length === 1;
        if (isFirst) setTimeout(() => send(answerTo(request, { r: 'late' })), 60);
        else setTimeout(() => send(echoed(request)), 30);
      },
      { answerTimeoutMs: 45, attempts: 1 },
    );
    await expect(line.client.call(osEcho, { d: 'one' }, signal)).rejects.toMatchObject({
      code: 'wire.timeout',
    });
    expect(await line.client.call(osEcho, { d: 'two' }, signal)).toEqual({ r: 'two' });
  });

  test('of another form is no answer; if no better one comes it is the error', async () => {
    await using line = bench((request, send) => send(answerTo(request, { r: 7 })), { answerTimeoutMs: 10 });
    await expect(line.client.call(osEcho, { d: 'x' }, signal)).rejects.toMatchObject({
      code: 'smp.bad-response',
    });
    await using better = bench((request, send) => {
      send(answerTo(request, { r: 7 }));
      send(echoed(request));
    });
    expect(await better.client.call(osEcho, { d: 'x' }, signal)).toEqual({ r: 'x' });
  });

  test('in version 1 counts, success and error alike', async () => {
    await using line = bench((request, send) => send({ ...echoed(request), version: 0 }));
    expect(await line.client.call(osEcho, { d: 'old' }, signal)).toEqual({ r: 'old' });
    await using old = bench((request, send) => send({ ...answerTo(request, { rc: 5 }), version: 0 }));
    expect(await old.client.request(osEcho, { d: 'x' }, signal)).toEqual({
      kind: 'failed',
      scope: 'common',
      code: 5,
    });
  });

  test('may hold an error in either form', async () => {
    const bodies: Record<string, unknown>[] = [
      { rc: 8 },
      { rc: 3, rsn: 'no' },
      { err: { group: 64, rc: 5 } },
      { rc: 0 },
    ];
    await using line = bench((request, send) =>
      send(answerTo(request, bodies[line.requests.length - 1] ?? {})),
    );
    const ask = () => line.client.request(cameraRemove, { id: 'R', sha: new Uint8Array(32) }, signal);
    expect(await ask()).toEqual({ kind: 'failed', scope: 'common', code: 8 });
    expect(await ask()).toEqual({ kind: 'failed', scope: 'common', code: 3, reason: 'no' });
    expect(await ask()).toEqual({ kind: 'failed', scope: { groupId: 64 }, code: 5 });
    expect(await ask()).toEqual({ kind: 'ok', body: {} });
  });

  test('may share its frame with another', async () => {
    const [host, device] = memoryLinks();
    const transport = consoleTransport(host, systemClock, defaultConsoleOptions);
    await using client = new SmpClient(transport, systemClock, { answerTimeoutMs: 1000, attempts: 1 });
    const deframer = new ConsoleDeframer({ maxMessageBytes: 8192, maxLineBytes: 512 });
    const waiting: SmpMessage[] = [];
    device.onBytes((chunk) => {
      for (const item of deframer.push(chunk)) {
        if (item.kind === 'message') waiting.push(decodeSmpMessage(item.bytes).message);
      }
      if (waiting.length < 2) return;
      const both = Buffer.concat(waiting.map((request) => encodeSmpMessage(echoed(request))));
      void device.write(Buffer.concat(encodeConsoleFrame(both)));
    });
    expect(await Promise.all(['a', 'b'].map((d) => client.call(osEcho, { d }, signal)))).toEqual([
      { r: 'a' },
      { r: 'b' },
    ]);
  });
});

describe('sequence numbers', () => {
  test('wrap after 256 requests and pass over one that is still in flight', async () => {
    let held: SmpMessage | undefined;
    await using line = bench(
      (request, send) => {
        if (line.requests.length === 10) held = request;
        else send(echoed(request));
      },
      { answerTimeoutMs: 10_000 },
    );
    let isSettled = false;
    const waiting: Promise<{ r: string }>[] = [];
    for (let round = 1; round <= 700; round++) {
      const call = line.client.call(osEcho, { d: `${round}` }, signal);
      if (round === 10) waiting.push(call.finally(() => (isSettled = true)));
      else expect(await call).toEqual({ r: `${round}` });
    }
    expect(isSettled).toBe(false);
    expect(line.requests.filter(({ sequence }) => sequence === held?.sequence)).toHaveLength(1);
    expect(new Set(line.requests.map(({ sequence }) => sequence)).size).toBe(256);
    if (held) line.send(echoed(held));
    expect(await waiting[0]).toEqual({ r: '10' });
  });
});

describe('the parameters of a server', () => {
  test.for([
    [{ buf_size: 2048, buf_count: 4 }, 4, 2044],
    [{ buf_size: 384, buf_count: 1 }, 1, 380],
    [{ buf_size: 2 ** 40, buf_count: 2 ** 40 }, 8, 8188],
    [{ buf_size: 0, buf_count: 0 }, 1, 60],
  ] as const)('set the window and the largest message: %j', async ([parameters, window, largest]) => {
    await using line = bench((request, send) =>
      send(request.commandId === osParameters.commandId ? answerTo(request, parameters) : echoed(request)),
    );
    await line.client.negotiate(signal);
    expect(line.client.window).toBe(window);
    // 8 bytes of header; map, key and length of the text take 4 to 6.
    const fits = 'x'.repeat(largest - 8 - 6);
    expect(await line.client.call(osEcho, { d: fits }, signal)).toEqual({ r: fits });
    const tooLarge = line.client.call(osEcho, { d: 'x'.repeat(largest - 8) }, signal);
    await expect(tooLarge).rejects.toMatchObject({ code: 'wire.too-large' });
  });

  test('may be unknown to it: then the smallest size is kept', async () => {
    await using line = bench((request, send) => send(answerTo(request, { rc: 8 })));
    await line.client.negotiate(signal);
    expect(line.client.window).toBe(1);
  });
});
