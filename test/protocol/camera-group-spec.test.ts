/**
 * The public page of the camera group against our codecs. A camera maker implements the page, not our code:
 * whatever the two say differently is a camera that does not work. The vectors come from an independent
 * generator, scripts/camera-group-vectors.py.
 */
import { createPublicKey, verify } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  cameraError,
  cameraHealth,
  cameraListEntry,
  cameraListRecordings,
  cameraRemove,
  challengeMessage,
  recordingKinds,
  transferModes,
} from '../../protocol/smp/camera-group.ts';
import { decodeCborMap, encodeCborMap } from '../../protocol/smp/cbor.ts';
import { encodeRequest, isAnswerTo, parseAnswer } from '../../protocol/smp/command.ts';
import { ConsoleDeframer, encodeConsoleFrame } from '../../protocol/smp/console-frame.ts';
import { fsDownload } from '../../protocol/smp/fs-group.ts';
import { decodeSmpMessage, encodeSmpMessage } from '../../protocol/smp/message.ts';
import {
  cameraCommands,
  commandNamed,
  pageText,
  pageVectors,
  parseWithEntries,
  unreadableEntry,
  type Expected,
} from './spec-page.ts';

type Of<Kind extends Expected['kind']> = Extract<Expected, { kind: Kind }>;

function vectorsOf<Kind extends Expected['kind']>(
  kind: Kind,
): { name: string; bytes: Uint8Array; expected: Of<Kind> }[] {
  return pageVectors.flatMap(({ name, bytes, expected }) =>
    expected.kind === kind ? [{ name, bytes, expected: expected as Of<Kind> }] : [],
  );
}

function vectorBytes(name: string): Uint8Array {
  const vector = pageVectors.find((candidate) => candidate.name === name);
  if (!vector) throw new Error(`the page has no vector ${name}`);
  return vector.bytes;
}

function bodyOf(name: string): Record<string, unknown> {
  return decodeCborMap(decodeSmpMessage(vectorBytes(name)).message.payload);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const requests = vectorsOf('request');
const responses = vectorsOf('response');
const failures = vectorsOf('failure');
const frames = vectorsOf('frame');

describe('vectors of the page', () => {
  test('the parser of this test misses no block', () => {
    expect(pageVectors).toHaveLength(pageText.match(/^```hex/gm)?.length ?? -1);
    expect(new Set(pageVectors.map(({ name }) => name)).size).toBe(pageVectors.length);
  });

  test('every command has a request and a response', () => {
    expect(cameraCommands.size).toBe(13);
    for (const vectors of [requests, responses]) {
      expect(new Set(vectors.map(({ expected }) => expected.command))).toEqual(
        new Set(cameraCommands.keys()),
      );
    }
  });

  test('every error code of the group occurs, except the unspecific one', () => {
    const codes = failures
      .filter(({ expected }) => expected.scope === 64)
      .map(({ expected }) => expected.code);
    const { unknown: _, ...specific } = cameraError;
    expect(new Set(codes)).toEqual(new Set(Object.values(specific)));
  });

  test.each(requests)('$name: our request has exactly these bytes', ({ bytes, expected }) => {
    const command = commandNamed(expected.command);
    expect(hex(encodeSmpMessage(encodeRequest(command, expected.body, expected.sequence)))).toBe(hex(bytes));
  });

  test.each(requests)('$name: a server built on our codecs understands it', ({ bytes, expected }) => {
    const command = commandNamed(expected.command);
    const { message, rest } = decodeSmpMessage(bytes);
    expect(rest).toHaveLength(0);
    expect(message).toMatchObject({ groupId: command.groupId, commandId: command.commandId, version: 1 });
    expect(command.request.parse(decodeCborMap(message.payload))).toEqual(expected.body);
  });

  test.each(responses)('$name: parsed to what the page says', ({ bytes, expected }) => {
    const command = commandNamed(expected.command);
    const { message, rest } = decodeSmpMessage(bytes);
    expect(rest).toHaveLength(0);
    expect(isAnswerTo(message, command, expected.sequence)).toBe(true);
    expect(parseWithEntries(command, message)).toEqual({ kind: 'ok', body: expected.body });
  });

  test.each(responses)('$name: encoded by us and parsed again, it is the same', ({ bytes, expected }) => {
    const command = commandNamed(expected.command);
    const { message } = decodeSmpMessage(bytes);
    const payload = encodeCborMap(expected.body);
    expect(parseWithEntries(command, { ...message, payload })).toEqual({ kind: 'ok', body: expected.body });
    // We write definite lengths: such a vector is reproduced to the byte.
    if (message.payload[0] !== 0xbf) expect(hex(payload)).toBe(hex(message.payload));
  });

  test.each(failures)('$name: read as the failure the page names', ({ bytes, expected }) => {
    const command = commandNamed(expected.command);
    const { message, rest } = decodeSmpMessage(bytes);
    expect(rest).toHaveLength(0);
    expect(isAnswerTo(message, command, expected.sequence)).toBe(true);
    expect(parseAnswer(command, message)).toEqual({
      kind: 'failed',
      scope: expected.scope === 'common' ? 'common' : { groupId: expected.scope },
      code: expected.code,
      ...(expected.reason !== undefined && { reason: expected.reason }),
    });
  });

  test('responses occur in definite and in indefinite form', () => {
    const first = new Set(responses.map(({ bytes }) => (bytes[8] === 0xbf ? 'indefinite' : 'definite')));
    expect(first).toEqual(new Set(['definite', 'indefinite']));
  });

  test.each(frames)('$name: the lines give the message', ({ bytes, expected }) => {
    const deframer = new ConsoleDeframer({ maxMessageBytes: 1024, maxLineBytes: 127 });
    const items = deframer.push(bytes).map((item) => (item.kind === 'message' ? hex(item.bytes) : item));
    expect(items).toEqual([hex(vectorBytes(expected.message))]);
    const lengths = Buffer.from(bytes)
      .toString('latin1')
      .split('\n')
      .slice(0, -1)
      .map((line) => line.length + 1);
    expect(lengths).toEqual(expected.lines);
  });

  test.each(frames.filter(({ name }) => name.endsWith('-request')))(
    '$name: our framing has exactly these bytes',
    ({ bytes, expected }) => {
      expect(hex(Buffer.concat(encodeConsoleFrame(vectorBytes(expected.message))))).toBe(hex(bytes));
    },
  );
});

describe('the challenge of the page', () => {
  const { serial, key } = bodyOf('identity-response') as { serial: string; key: Uint8Array };
  const { nonce } = bodyOf('challenge-request') as { nonce: Uint8Array };
  const { sig } = bodyOf('challenge-response') as { sig: Uint8Array };
  const publicKey = createPublicKey({
    format: 'jwk',
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(key).toString('base64url') },
  });

  test('the signature is valid over our challenge message', () => {
    expect(verify(null, challengeMessage(serial, nonce), publicKey, sig)).toBe(true);
  });

  test('it is not valid for another serial number or another nonce', () => {
    expect(verify(null, challengeMessage(`${serial}0`, nonce), publicKey, sig)).toBe(false);
    expect(verify(null, challengeMessage(serial, nonce.toReversed()), publicKey, sig)).toBe(false);
  });

  test('the prefix on the page is the one that is signed', () => {
    const [prefix] = Buffer.from(challengeMessage('', new Uint8Array(0)))
      .toString('utf8')
      .split('\0');
    expect(pageText).toContain(`\`${prefix}\``);
    expect(pageText).toContain(`| ${Buffer.byteLength(prefix ?? '')} bytes of ASCII `);
  });
});

describe('tables of the page', () => {
  const rows = pageText
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    );

  test('the table of commands has id, name, op and repetition of every command', () => {
    const listed = rows.filter(([, name]) => cameraCommands.has(name ?? ''));
    const inCode = [...cameraCommands.values()].map((command) => [
      `${command.commandId}`,
      command.name,
      command.access,
      command.repeat === 'safe' ? 'yes' : '**never**',
    ]);
    expect(listed.map(([id, name, op, , repeated]) => [id, name, op, repeated])).toEqual(inCode);
  });

  test('the table of error codes has every code by its name', () => {
    const start = rows.findIndex(([first]) => first === 'group code');
    const listed = rows.slice(start + 2, start + 2 + Object.keys(cameraError).length);
    const inCode = Object.entries(cameraError).map(([name, code]) => [
      `${code}`,
      name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
    ]);
    expect(listed.map(([code, name]) => [code, name])).toEqual(inCode);
    expect(rows[start + 2 + inCode.length]?.[0]).toBe('common code');
  });

  test('kinds and transfer modes have the numbers of the code', () => {
    expect(pageText).toContain(recordingKinds.map((kind, number) => `${number} ${kind}`).join(', '));
    const start = rows.findIndex(([first, second]) => first === 'number' && second === 'mode');
    const listed = rows.slice(start + 2, start + 2 + transferModes.length);
    listed.forEach(([number, meaning], index) => {
      expect(number).toBe(`${index}`);
      expect(meaning?.toLowerCase()).toMatch(new RegExp(`^${transferModes[index]?.replace('-', ' ')}`));
    });
    expect(listed).toHaveLength(3);
  });

  test.each([...cameraCommands.values()])(
    'the section of $name names its keys, optional ones as such',
    (command) => {
      const section = pageText
        .split(/^### /m)
        .find((part) => /^3\.\d.*\((\d)\)$/m.exec(part)?.[1] === `${command.commandId}`);
      const shapes = [command.request.shape, command.response.shape];
      if (command.name === cameraListRecordings.name) shapes.push(cameraListEntry.shape);
      for (const shape of shapes) {
        for (const [key, type] of Object.entries(shape)) {
          const isOptional = type.safeParse(undefined).success;
          expect(section).toMatch(new RegExp(`\`${key}\`${isOptional ? '\\?' : '(?!\\?)'}`));
        }
      }
    },
  );
});

describe('sizes that the page promises', () => {
  const longest = {
    id: 'i'.repeat(64),
    path: '/'.repeat(128),
    size: 0xffff_ffff_ffff_ffffn,
    start: 253_402_300_799_999,
    end: 253_402_300_799_999,
    kind: 3,
    prot: true,
    sha: new Uint8Array(32),
  };
  const smallestBufferBytes = 384;

  function pageWith(list: readonly unknown[]): Uint8Array {
    return encodeCborMap({ total: 0xffff_ffff_ffff_ffffn, gen: Number.MAX_SAFE_INTEGER, list });
  }

  test('the longest list entry has the stated length', () => {
    // One byte more than the definite form: head and break instead of the head alone.
    expect(cameraListEntry.safeParse(longest).success).toBe(true);
    expect(pageText).toContain(`one list entry takes at most ${encodeCborMap(longest).length + 1} bytes`);
  });

  test('a page of one longest entry fits the smallest buffer', () => {
    const indefiniteExtraBytes = 3;
    const messageBytes = 8 + pageWith([longest]).length + indefiniteExtraBytes;
    expect(messageBytes).toBeLessThanOrEqual(smallestBufferBytes - 4);
  });

  test('every request about the longest recording fits two console lines', () => {
    for (const request of [
      encodeRequest(fsDownload, { off: longest.size, name: longest.path }, 255),
      encodeRequest(cameraRemove, { id: longest.id, sha: longest.sha }, 255),
    ]) {
      expect(encodeConsoleFrame(encodeSmpMessage(request)).length).toBeLessThanOrEqual(2);
    }
  });
});

describe('rules of the page that the parser enforces', () => {
  const { message } = decodeSmpMessage(vectorBytes('recordings-first-response'));
  const good = { id: '1', path: '/a', size: 1, kind: 0 };

  function parseList(list: readonly unknown[]): unknown {
    const payload = encodeCborMap({ total: list.length, gen: 0, list });
    const answer = parseWithEntries(cameraListRecordings, { ...message, payload });
    return answer.kind === 'ok' ? answer.body['list'] : answer;
  }

  function withoutKey(key: keyof typeof good): Record<string, unknown> {
    const { [key]: _, ...others } = good;
    return others;
  }

  test.each([
    ['that lacks its id', withoutKey('id')],
    ['that lacks its path', withoutKey('path')],
    ['that lacks its size', withoutKey('size')],
    ['that lacks its kind', withoutKey('kind')],
    ['with an empty id', { ...good, id: '' }],
    ['with an id of 65 characters', { ...good, id: 'i'.repeat(65) }],
    ['with an empty path', { ...good, path: '' }],
    ['with a path of bytes', { ...good, path: new Uint8Array(4) }],
    ['with a negative size', { ...good, size: -1 }],
    ['with a size that is no integer', { ...good, size: 1.5 }],
    ['with a kind that is text', { ...good, kind: 'video' }],
    ['with a protection that is a number', { ...good, prot: 1 }],
    ['with a digest of 31 bytes', { ...good, sha: new Uint8Array(31) }],
    ['with a digest in hex', { ...good, sha: 'ab'.repeat(32) }],
    ['that is null', null],
    ['that is a number', 7],
    ['that is text', 'recording'],
    ['that is a list', [good]],
    ['that is an empty map', {}],
  ])('an entry %s is refused by itself, the others are read', (_name, entry) => {
    const last = { ...good, id: '2', path: '/b' };
    expect(parseList([good, entry, last])).toEqual([good, unreadableEntry, last]);
  });

  test('a list of unreadable entries alone is a page all the same', () => {
    expect(parseList([null, {}, 1])).toEqual([unreadableEntry, unreadableEntry, unreadableEntry]);
  });

  test.each([
    ['without a list', { total: 1, gen: 0 }],
    ['with a list that is a map', { total: 1, gen: 0, list: {} }],
    ['without a total', { gen: 0, list: [good] }],
    ['without a generation', { total: 1, list: [good] }],
    ['with a generation in text', { total: 1, gen: '0', list: [good] }],
  ])('a page %s is invalid as a whole', (_name, body) => {
    expect(() => parseAnswer(cameraListRecordings, { ...message, payload: encodeCborMap(body) })).toThrow(
      expect.objectContaining({ code: 'smp.bad-response' }),
    );
  });

  test.each([-1, 253_402_300_800_000, 'yesterday', 2 ** 60])(
    'the start time %j counts as absent',
    (start) => {
      expect(parseList([{ ...good, start }])).toEqual([good]);
    },
  );

  test('keys that are not known are ignored', () => {
    expect(parseList([{ ...good, gps: { lat: 1 } }])).toEqual([good]);
  });

  test('an error counter may have any name, those of the error keys as well', () => {
    const cnt = { rc: 3, group: 64, err: 1 };
    const answer = parseAnswer(cameraHealth, { ...message, payload: encodeCborMap({ cnt }) });
    expect(answer).toEqual({ kind: 'ok', body: { cnt } });
  });
});
