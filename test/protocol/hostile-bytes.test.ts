/**
 * No input from a camera can crash, hang or fill the agent, and none can be taken for something else than it
 * is: every truncation and byte flip of every vector, and random bytes, at message and at console level. The
 * outcome is a value or a DockError. A worn contact makes such bytes every day; a hostile camera makes worse.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DockError } from '../../protocol/errors.ts';
import { cameraHealth, cameraListRecordings, cameraRemove } from '../../protocol/smp/camera-group.ts';
import { decodeCborMap, encodeCborMap } from '../../protocol/smp/cbor.ts';
import { parseAnswer, type AnySmpCommand } from '../../protocol/smp/command.ts';
import { ConsoleDeframer, encodeConsoleFrame, type ConsoleItem } from '../../protocol/smp/console-frame.ts';
import { decodeSmpMessage, smpOp, type SmpMessage } from '../../protocol/smp/message.ts';
import { annotatedHex } from './annotated-hex.ts';
import { capturedAnswers, capturedRequests } from './captured-smp.ts';
import { commandNamed, pageVectors, parseWithEntries, unreadableEntry } from './spec-page.ts';

interface Sample {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly command: AnySmpCommand;
}

const messages: readonly Sample[] = [
  ...pageVectors.flatMap(({ name, bytes, expected }) =>
    expected.kind === 'frame' ? [] : [{ name, bytes, command: commandNamed(expected.command) }],
  ),
  ...[...capturedRequests, ...capturedAnswers].map(({ name, message, command }) => ({
    name: `captured ${name}, op ${message[0]}`,
    bytes: message,
    command,
  })),
];

const limits = { maxMessageBytes: 1024, maxLineBytes: 256 };

/** Up to here all 255 other values of a byte are tried, beyond it its 8 bit flips. */
const shortBytes = 32;

function* flipsOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at++) {
    const masks =
      bytes.length <= shortBytes
        ? Array.from({ length: 255 }, (_, index) => index + 1)
        : [1, 2, 4, 8, 16, 32, 64, 128];
    for (const mask of masks) {
      const flipped = new Uint8Array(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ mask;
      yield flipped;
    }
  }
}

/** The value, or the code of the DockError. Anything else thrown fails the test with the bytes in its name. */
function outcome(bytes: Uint8Array, run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    if (error instanceof DockError) return error.code;
    throw new Error(`${Buffer.from(bytes).toString('hex').slice(0, 400)} threw no DockError`, {
      cause: error,
    });
  }
}

/** What client and server do with the bytes of a message. */
function readMessage(bytes: Uint8Array, command: AnySmpCommand): unknown {
  const { message } = decodeSmpMessage(bytes);
  if (message.op === smpOp.readRequest || message.op === smpOp.writeRequest) {
    return command.request.safeParse(decodeCborMap(message.payload)).success;
  }
  return parseWithEntries(command, message);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function messagesIn(items: readonly ConsoleItem[]): string[] {
  return items.flatMap((item) => (item.kind === 'message' ? [hex(item.bytes)] : []));
}

const good = Buffer.concat(encodeConsoleFrame(capturedAnswers[0]!.message));
const goodHex = hex(capturedAnswers[0]!.message);

describe('at message level', () => {
  test('there are samples of every kind', () => {
    expect(messages.length).toBeGreaterThan(50);
    expect(messages.some(({ bytes }) => bytes.length <= shortBytes)).toBe(true);
    expect(messages.some(({ bytes }) => bytes.length > shortBytes)).toBe(true);
  });

  test.each(messages)('every truncation of $name is malformed', ({ bytes, command }) => {
    for (let length = 0; length < bytes.length; length++) {
      const part = bytes.subarray(0, length);
      expect(outcome(part, () => readMessage(part, command))).toBe('wire.malformed');
    }
  });

  test.each(messages)('every truncation of the payload of $name is malformed, except none', ({ bytes }) => {
    const payload = bytes.subarray(8);
    for (let length = 1; length < payload.length; length++) {
      const part = payload.subarray(0, length);
      expect(outcome(part, () => decodeCborMap(part))).toBe('wire.malformed');
    }
  });

  test.each(messages)('every byte flip of $name is a value or a DockError', ({ bytes, command }) => {
    const outcomes = new Set<string>();
    for (const flipped of flipsOf(bytes)) {
      const result = outcome(flipped, () => readMessage(flipped, command));
      outcomes.add(typeof result === 'string' ? result : 'value');
    }
    // Some flips must have been noticed and some must have been harmless (flags), or nothing was tried.
    expect(outcomes).toContain('value');
    expect(outcomes).toContain('wire.malformed');
  });

  test.each(messages)('no byte flip of $name puts a value into the map that CBOR has not', ({ bytes }) => {
    for (const flipped of flipsOf(bytes.subarray(8))) {
      const result = outcome(flipped, () => decodeCborMap(flipped));
      expect(strangeValueIn(result), hex(flipped)).toBeUndefined();
    }
  });

  test('random payloads are a value or a DockError for every kind of answer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(...messages), (payload, { command }) => {
        const message: SmpMessage = { version: 1, op: 1, groupId: 64, sequence: 0, commandId: 0, payload };
        const result = outcome(payload, () => parseWithEntries(command, message));
        expect(['string', 'object']).toContain(typeof result);
      }),
      { numRuns: 5000 },
    );
  });

  test('well-formed maps of any values are a value or smp.bad-response, never malformed', () => {
    const anyMap = fc.dictionary(
      fc.oneof(
        fc.constantFrom('err', 'rc', 'list', 'gen', 'total', 'ms', 'serial', '__proto__'),
        fc.string(),
      ),
      fc.jsonValue({ maxDepth: 3 }),
      { maxKeys: 6 },
    );
    fc.assert(
      fc.property(anyMap, fc.constantFrom(...messages), (map, { command }) => {
        const payload = encodeCborMap(map);
        const message: SmpMessage = { version: 1, op: 1, groupId: 64, sequence: 0, commandId: 0, payload };
        const result = outcome(payload, () => parseWithEntries(command, message));
        if (typeof result === 'string') expect(result).toBe('smp.bad-response');
        else expect(result).toHaveProperty('kind');
      }),
      { numRuns: 3000 },
    );
  });
});

/** The first thing inside a decoded value that no CBOR item decodes to. */
function strangeValueIn(value: unknown): unknown {
  if (typeof value === 'symbol' || typeof value === 'function') return value;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return undefined;
  return Object.values(value)
    .map(strangeValueIn)
    .find((found) => found !== undefined);
}

describe('decodeCborMap', () => {
  test('random bytes throw nothing but wire.malformed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const result = outcome(bytes, () => decodeCborMap(bytes));
        if (typeof result === 'string') expect(result).toBe('wire.malformed');
        else expect(strangeValueIn(result)).toBeUndefined();
      }),
      { numRuns: 10_000 },
    );
  });

  test.each([
    ['arrays', '81', ''],
    ['indefinite arrays', '9f', 'ff'],
    ['maps', 'a16161', ''],
    ['indefinite maps', 'bf6161', 'ff'],
    ['tags', 'c1', ''],
  ])('100 000 levels of %s are malformed, not a crash', (_name, open, close) => {
    const levels = 100_000;
    const bytes = annotatedHex(`a1 6161 ${open.repeat(levels)} 00 ${close.repeat(levels)}`);
    expect(outcome(bytes, () => decodeCborMap(bytes))).toBe('wire.malformed');
    const message = { version: 1, op: 1, groupId: 64, sequence: 0, commandId: 1, payload: bytes };
    expect(outcome(bytes, () => parseAnswer(cameraHealth, message))).toBe('wire.malformed');
  });

  test('nesting that is decoded is parsed as well, at every depth', () => {
    for (let levels = 1; levels < 4000; levels += 97) {
      const payload = annotatedHex(`a1 63 636e74 a1 6161 ${'81'.repeat(levels)} 00`);
      const message = { version: 1, op: 1, groupId: 64, sequence: 0, commandId: 1, payload };
      const result = outcome(payload, () => parseAnswer(cameraHealth, message));
      expect(['smp.bad-response', 'wire.malformed']).toContain(result);
    }
  });

  test.each([
    ['byte string of 2^32 - 1', 'a1 6161 5a ffffffff'],
    ['byte string of 2^53', 'a1 6161 5b 0020000000000000'],
    ['byte string of 2^64 - 1', 'a1 6161 5b ffffffffffffffff'],
    ['text of 2^32 - 1', 'a1 6161 7a ffffffff'],
    ['text of 2^64 - 1', 'a1 6161 7b ffffffffffffffff'],
    ['array of 2^32 - 1', 'a1 6161 9a ffffffff'],
    ['array of 2^32', 'a1 6161 9b 0000000100000000'],
    ['array of 2^64 - 1', 'a1 6161 9b ffffffffffffffff'],
    ['map of 2^32 - 1', 'ba ffffffff'],
    ['map of 2^64 - 1', 'bb ffffffffffffffff'],
    ['key of 2^32 - 1', 'a1 7a ffffffff'],
  ])('a declared %s takes no memory', (_name, text) => {
    const bytes = annotatedHex(`${text} 00 00`);
    const before = process.memoryUsage();
    expect(outcome(bytes, () => decodeCborMap(bytes))).toBe('wire.malformed');
    const after = process.memoryUsage();
    expect(after.heapUsed - before.heapUsed).toBeLessThan(4_000_000);
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(1_000_000);
  });

  test.each([
    ['the same key twice', 'a2 6161 01 6161 02'],
    ['the same key twice, indefinite', 'bf 6161 01 6161 02 ff'],
    ['the same key twice in an inner map', 'a1 6161 a2 6162 01 6162 02'],
    ['the key __proto__ twice', 'a2 69 5f5f70726f746f5f5f 01 69 5f5f70726f746f5f5f 02'],
    ['an integer key', 'a1 01 02'],
    ['a byte string key', 'a1 4161 02'],
    ['an array key', 'a1 80 02'],
    ['a float that is no number', 'a1 6161 f97e00'],
    ['infinity', 'a1 6161 f97c00'],
    ['a tag', 'a1 6161 c0 6161'],
    ['an indefinite text', 'a1 6161 7f 6161 ff'],
    ['an indefinite byte string', 'a1 6161 5f 4161 ff'],
    ['a reserved length', 'a1 6161 1c'],
    ['a break instead of a map', 'ff'],
    ['a break instead of a key', 'a1 ff 01'],
    ['bytes after the map', 'a0 00'],
    ['two maps', 'a0 a0'],
    ['an array', '80'],
    ['a byte string', '4161'],
    ['null', 'f6'],
    ['a number', '00'],
    ['a missing break', 'bf 6161 01'],
  ])('%s is malformed', (_name, text) => {
    const bytes = annotatedHex(text);
    expect(outcome(bytes, () => decodeCborMap(bytes))).toBe('wire.malformed');
  });

  test.each([
    ['in a definite map', 'a1 6161 ff'],
    ['in an indefinite map', 'bf 6161 ff ff'],
    ['in an inner map', 'a1 6161 bf 6162 ff ff'],
  ])('a break in place of a value %s is malformed', (_name, text) => {
    const bytes = annotatedHex(text);
    expect(outcome(bytes, () => decodeCborMap(bytes))).toBe('wire.malformed');
  });

  test('the key __proto__ is a key like any other', () => {
    const map = decodeCborMap(annotatedHex('a1 69 5f5f70726f746f5f5f a1 6161 01'));
    expect(Object.getPrototypeOf(map)).toBe(Object.prototype);
    expect(Object.keys(map)).toEqual(['__proto__']);
    expect('a' in map).toBe(false);
  });

  test.each([
    ['a lone continuation byte', 'a2 6161 61 ff 6162 01'],
    ['an overlong form', 'a2 6161 62 c080 6162 01'],
    ['a surrogate', 'a2 6161 63 eda080 6162 01'],
    ['a character cut short', 'a2 6161 62 e282 6162 01'],
  ])('text with %s keeps the other keys unharmed', (_name, text) => {
    const { a, b } = decodeCborMap(annotatedHex(text));
    expect(b).toBe(1);
    expect(a).toMatch(/^�+$/);
  });

  test.each([
    ['2^53 - 1', 'a1 6161 1b 001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['2^53', 'a1 6161 1b 0020000000000000', 2n ** 53n],
    ['2^53 + 1', 'a1 6161 1b 0020000000000001', 2n ** 53n + 1n],
    ['2^64 - 1', 'a1 6161 1b ffffffffffffffff', 2n ** 64n - 1n],
    ['-2^64', 'a1 6161 3b ffffffffffffffff', -(2n ** 64n)],
  ])('the integer %s is exact', (_name, text, value) => {
    expect(decodeCborMap(annotatedHex(text))).toEqual({ a: value });
  });

  test('integers of 64 bits survive encoding and decoding', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const { a } = decodeCborMap(encodeCborMap({ a: value }));
        expect(BigInt(a as number | bigint)).toBe(value);
      }),
    );
  });
});

describe('an answer that says neither success nor a known error', () => {
  const message: SmpMessage = {
    version: 1,
    op: smpOp.writeResponse,
    groupId: 64,
    sequence: 1,
    commandId: 5,
    payload: new Uint8Array(0),
  };

  // The body of a successful removal has no keys: whatever is not understood would count as done.
  test.each([
    ['rc above 2^53', { rc: 2n ** 64n - 1n }],
    ['rc in text', { rc: '3' }],
    ['rc null', { rc: null }],
    ['rc of true', { rc: true }],
    ['group rc above 2^53', { err: { group: 64, rc: 2n ** 64n - 1n } }],
    ['group rc in text', { err: { group: 64, rc: '4' } }],
    ['err without rc', { err: {} }],
    ['err that is a number', { err: 5 }],
    ['err that is text', { err: 'digest mismatch' }],
    ['err that is a list', { err: [64, 4] }],
  ])('a removal answered with %s did not succeed', (_name, body) => {
    const payload = encodeCborMap(body);
    const result = outcome(payload, () => parseAnswer(cameraRemove, { ...message, payload }));
    expect(result).not.toEqual({ kind: 'ok', body: {} });
  });

  test('an error whose rc is replaced by a break did not succeed', () => {
    const payload = annotatedHex('bf 63 657272 bf 65 67726f7570 18 40 62 7263 ff ff ff');
    const result = outcome(payload, () => parseAnswer(cameraRemove, { ...message, payload }));
    expect(result).not.toEqual({ kind: 'ok', body: {} });
  });

  test.each([
    ['a list', { list: [] }],
    ['a number', { total: 1, gen: 1, list: 1 }],
    ['a map', { total: 1, gen: 1, list: { 0: {} } }],
    ['bytes', { total: 1, gen: 1, list: new Uint8Array(3) }],
  ])('a page of recordings with %s in the wrong place is a bad response', (_name, body) => {
    const payload = encodeCborMap(body);
    const read = { ...message, op: smpOp.readResponse, commandId: 3, payload };
    expect(outcome(payload, () => parseAnswer(cameraListRecordings, read))).toBe('smp.bad-response');
  });

  test('any entries between good ones leave those as they are', () => {
    const first = { id: '1', path: '/a', size: 1, kind: 0 };
    const last = { id: '2', path: '/b', size: 2n ** 63n, kind: 1, sha: new Uint8Array(32) };
    const anyEntry = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.uint8Array({ maxLength: 40 }),
      fc.record(
        {
          id: fc.oneof(fc.string(), fc.integer()),
          path: fc.oneof(fc.string(), fc.uint8Array({ maxLength: 8 })),
          size: fc.oneof(fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n }), fc.string()),
          kind: fc.oneof(fc.integer(), fc.boolean()),
          sha: fc.uint8Array({ maxLength: 40 }),
        },
        { requiredKeys: [] },
      ),
    );
    let unreadable = 0;
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: 4 }), (entries) => {
        const payload = encodeCborMap({ total: 9, gen: 1, list: [first, ...entries, last] });
        const read = { ...message, op: smpOp.readResponse, commandId: 3, payload };
        const answer = parseWithEntries(cameraListRecordings, read);
        const list = (answer.kind === 'ok' ? answer.body['list'] : []) as unknown[];
        expect(list).toHaveLength(entries.length + 2);
        expect(list[0]).toEqual(first);
        expect(list.at(-1)).toEqual(last);
        unreadable += list.filter((entry) => entry === unreadableEntry).length;
      }),
      { numRuns: 2000 },
    );
    expect(unreadable).toBeGreaterThan(500);
  });

  test('the detail of the error does not repeat a key of 60 000 characters', () => {
    const payload = encodeCborMap({ cnt: { ['k'.repeat(60_000)]: -1 } });
    const read = { ...message, op: smpOp.readResponse, commandId: 1, payload };
    expect(() => parseAnswer(cameraHealth, read)).toThrow(DockError);
    expect(() => parseAnswer(cameraHealth, read)).toThrow(/^.{1,1000}$/s);
    const twice = Buffer.concat([
      annotatedHex('a2'),
      ...Array.from({ length: 2 }, () => encodeCborMap({ ['k'.repeat(20_000)]: 0 }).subarray(1)),
    ]);
    expect(() => decodeCborMap(twice)).toThrow(/^.{1,1000}$/s);
  });
});

describe('at console level', () => {
  const frames = messages
    .map(({ name, bytes }) => ({ name, bytes, stream: Buffer.concat(encodeConsoleFrame(bytes)) }))
    .filter(({ stream }) => stream.length < 200);

  test.each(frames)(
    'every truncation of the frame of $name gives no message, and the next is received',
    (frame) => {
      for (let length = 0; length < frame.stream.length; length++) {
        const deframer = new ConsoleDeframer(limits);
        expect(messagesIn(deframer.push(frame.stream.subarray(0, length)))).toEqual([]);
        // The first good frame may stand on the line that was cut; it ends that line.
        const after = messagesIn([...deframer.push(good), ...deframer.push(good)]);
        expect(after.at(-1)).toBe(goodHex);
        expect(after.every((found) => found === goodHex)).toBe(true);
      }
    },
  );

  test.each(frames)(
    'no byte flip of the frame of $name gives another message, and the next is received',
    (frame) => {
      const original = hex(frame.bytes);
      for (const flipped of flipsOf(frame.stream)) {
        const deframer = new ConsoleDeframer(limits);
        const found = messagesIn(deframer.push(flipped));
        // "-" and "_" stand for "+" and "/" in some base64 alphabets: the same message is no harm.
        expect(
          found.every((message) => message === original),
          hex(flipped),
        ).toBe(true);
        expect(messagesIn([...deframer.push(good), ...deframer.push(good)]).at(-1)).toBe(goodHex);
      }
    },
  );

  const logText = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.string({ maxLength: 80 }).map((text) => new Uint8Array(Buffer.from(`${text}\n`))),
    fc
      .constantFrom('\x06\x09', '\x04\x14', '\n', '\r\n', '\x06\x09AAEA\n', '\x06\x09//8A\n')
      .map((text) => new Uint8Array(Buffer.from(text, 'latin1'))),
    fc.constant(new Uint8Array(good)),
  );

  test('random bytes with log text and frames between never throw and every item is within its limits', () => {
    fc.assert(
      fc.property(fc.array(logText, { maxLength: 30 }), (chunks) => {
        const deframer = new ConsoleDeframer(limits);
        for (const chunk of chunks) {
          for (const item of deframer.push(chunk)) {
            if (item.kind === 'message')
              expect(item.bytes.length).toBeLessThanOrEqual(limits.maxMessageBytes);
            if (item.kind === 'text') expect(item.line.length).toBeLessThanOrEqual(limits.maxLineBytes);
            if (item.kind === 'damaged') expect(item.reason.length).toBeLessThan(100);
          }
        }
        // A newline ends whatever is open; then a good frame is received.
        expect(messagesIn(deframer.push(Buffer.concat([Buffer.from('\n'), good]))).at(-1)).toBe(goodHex);
      }),
      { numRuns: 3000 },
    );
  });

  test('any message comes back from its frame, cut into any chunks, between any log lines', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 1024 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 }),
        fc.stringMatching(/^[ -~]{0,60}$/),
        (sent, sizes, log) => {
          const stream = Buffer.concat(
            sent
              .flatMap((message) => encodeConsoleFrame(message))
              .flatMap((line) => [line, Buffer.from(`${log}\n`)]),
          );
          const deframer = new ConsoleDeframer(limits);
          const found: string[] = [];
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            const size = sizes[turn % sizes.length] ?? 1;
            found.push(...messagesIn(deframer.push(stream.subarray(at, at + size))));
            at += size;
          }
          expect(found).toEqual(sent.map(hex));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a message stays as it was when later bytes arrive', () => {
    const deframer = new ConsoleDeframer(limits);
    const [item] = deframer.push(good);
    deframer.push(Buffer.alloc(5000, 0xff));
    deframer.push(good);
    expect(messagesIn(item ? [item] : [])).toEqual([goodHex]);
  });

  test('a line without an end and packets that never end take no memory', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const deframer = new ConsoleDeframer({ maxMessageBytes: 0xfffd, maxLineBytes: 1024 });
    const noise = Buffer.alloc(65_536, 0x41);
    const neverEnding = Buffer.from('\x06\x09//8A\n', 'latin1');
    collect();
    const before = process.memoryUsage();
    let items = 0;
    for (let turn = 0; turn < 512; turn++) items += deframer.push(noise).length;
    items += deframer.push(Buffer.from('\n')).length;
    for (let turn = 0; turn < 5000; turn++) items += deframer.push(neverEnding).length;
    // One cut line of text, and a damage for every packet that another one cut short.
    expect(items).toBe(1 + 4999);

    // Kept, it would be 33 and 320 MB. What is garbage goes within some rounds: it is swept in the background.
    let keptBytes = Infinity;
    for (let round = 0; round < 200 && keptBytes > 2_000_000; round++) {
      collect();
      await new Promise(setImmediate);
      const { arrayBuffers, heapUsed } = process.memoryUsage();
      keptBytes = Math.max(arrayBuffers - before.arrayBuffers, heapUsed - before.heapUsed);
    }
    expect(keptBytes).toBeLessThanOrEqual(2_000_000);
    expect(messagesIn(deframer.push(good))).toEqual([goodHex]);
  });
});
