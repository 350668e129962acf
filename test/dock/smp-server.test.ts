// The simulated camera answers as a Zephyr server does, row by row of what was observed on real ones.
import { describe, expect, test } from 'vitest';
import { SmpServer, smpHandler, SmpGroupFailure } from '../../dock/simulator/smp-server.ts';
import { decodeCborMap, encodeCborMap } from '../../protocol/smp/cbor.ts';
import { decodeSmpMessage } from '../../protocol/smp/message.ts';
import { osEcho, osParameters, osReadDatetime } from '../../protocol/smp/os-group.ts';

let calls = 0;
const server = new SmpServer(
  [
    smpHandler(osEcho, ({ d }) => {
      calls++;
      return { r: d };
    }),
    smpHandler(osParameters, () => ({ buf_size: 384, buf_count: 4 })),
    smpHandler(osReadDatetime, () => {
      throw new SmpGroupFailure(0, 4);
    }),
  ],
  380,
);

/** Header fields of a request; `length` may lie. */
function request(
  { first = 0x0a, flags = 0, group = 0, sequence = 7, command = 0, length = undefined as number | undefined },
  payload: Uint8Array = encodeCborMap({ d: 'hi' }),
): Uint8Array {
  const size = length ?? payload.length;
  return Uint8Array.of(
    first,
    flags,
    size >> 8,
    size & 0xff,
    group >> 8,
    group & 0xff,
    sequence,
    command,
    ...payload,
  );
}

function answers(frame: Uint8Array) {
  return server.answer(frame).map((bytes) => {
    const { message, rest } = decodeSmpMessage(bytes);
    expect(rest).toHaveLength(0);
    return {
      first: bytes[0],
      flags: bytes[1],
      sequence: message.sequence,
      body: decodeCborMap(message.payload),
    };
  });
}

describe('the server of a simulated camera', () => {
  test('answers in the version of the request', () => {
    expect(answers(request({ first: 0x0a }))).toEqual([
      { first: 0x0b, flags: 0, sequence: 7, body: { r: 'hi' } },
    ]);
    expect(answers(request({ first: 0x02 }))).toEqual([
      { first: 0x03, flags: 0, sequence: 7, body: { r: 'hi' } },
    ]);
  });

  test.for([0x12, 0x1a])('says "too new" in version 2 to the reserved version of %d', (first) => {
    expect(answers(request({ first }))).toMatchObject([{ first: 0x0b, body: { rc: 13 } }]);
  });

  test.for([0x09, 0x0b, 0x0c, 0x0f])(
    'says "not supported" to the operation in %d, as a write response',
    (first) => {
      expect(answers(request({ first }))).toMatchObject([{ first: 0x0b, body: { rc: 8 } }]);
    },
  );

  test('says "not supported" to an unknown group, an unknown command and the wrong operation', () => {
    expect(answers(request({ group: 77 }))).toMatchObject([{ body: { rc: 8 } }]);
    expect(answers(request({ command: 99 }))).toMatchObject([{ body: { rc: 8 } }]);
    expect(answers(request({ command: 6 }))).toMatchObject([{ body: { rc: 8 } }]);
  });

  test('says "corrupt" when less arrived than the length says', () => {
    expect(answers(request({ length: 100 }))).toMatchObject([{ first: 0x0b, sequence: 7, body: { rc: 9 } }]);
  });

  test('takes what follows the length for a second request, each with an answer of its own', () => {
    const two = Buffer.concat([
      request({ sequence: 1 }),
      request({ sequence: 2 }, encodeCborMap({ d: 'yo' })),
    ]);
    expect(answers(two)).toMatchObject([
      { sequence: 1, body: { r: 'hi' } },
      { sequence: 2, body: { r: 'yo' } },
    ]);
  });

  test('stops at the first error in a frame', () => {
    calls = 0;
    const three = Buffer.concat([
      request({ sequence: 1 }),
      request({ sequence: 2, group: 77 }),
      request({ sequence: 3 }),
    ]);
    expect(answers(three)).toMatchObject([{ sequence: 1 }, { sequence: 2, body: { rc: 8 } }]);
    expect(calls).toBe(1);
  });

  test('is silent to what is shorter than a header, and to what its buffer does not hold', () => {
    for (let length = 0; length < 8; length++)
      expect(server.answer(request({}).subarray(0, length))).toEqual([]);
    expect(server.answer(request({}, new Uint8Array(373)))).toEqual([]);
    expect(server.answer(request({}, new Uint8Array(372)))).toHaveLength(1);
  });

  test('ignores flags and reserved bits, and answers them with zero', () => {
    expect(answers(request({ first: 0xea, flags: 0xff }))).toMatchObject([
      { first: 0x0b, flags: 0, body: { r: 'hi' } },
    ]);
  });

  test('takes no payload for no arguments', () => {
    expect(answers(request({ first: 0x08, command: 6 }, new Uint8Array()))).toMatchObject([
      { body: { buf_size: 384 } },
    ]);
    expect(answers(request({}, new Uint8Array()))).toMatchObject([{ body: { rc: 3 } }]);
  });

  test('is strict about types and free about order, unknown keys and indefinite lengths', () => {
    expect(answers(request({}, encodeCborMap({ d: new Uint8Array(2) })))).toMatchObject([
      { body: { rc: 3 } },
    ]);
    expect(answers(request({}, Uint8Array.of(0xa1, 0x01, 0x02)))).toMatchObject([{ body: { rc: 3 } }]);
    expect(answers(request({}, encodeCborMap({ z: { deep: [1] }, d: 'hi' })))).toMatchObject([
      { body: { r: 'hi' } },
    ]);
    expect(answers(request({}, Uint8Array.of(0xbf, 0x61, 0x64, 0x61, 0x78, 0xff)))).toMatchObject([
      { body: { r: 'x' } },
    ]);
  });

  test('states an error of a command in the form of each version', () => {
    expect(answers(request({ first: 0x08, command: 4 }))).toMatchObject([
      { body: { err: { group: 0, rc: 4 } } },
    ]);
    expect(answers(request({ first: 0x00, command: 4 }))).toMatchObject([{ body: { rc: 1 } }]);
  });

  test('answers with maps of indefinite length', () => {
    const [bytes] = server.answer(request({}));
    expect(bytes?.[8]).toBe(0xbf);
    expect(bytes?.at(-1)).toBe(0xff);
  });
});
