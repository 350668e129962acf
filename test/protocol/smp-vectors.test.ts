/**
 * Our SMP codecs against bytes captured from real servers, and the console framing against every line form
 * that was measured on them. A camera that speaks SMP was not written by us: what counts is what it sends.
 */
import { describe, expect, test } from 'vitest';
import { decodeCborMap } from '../../protocol/smp/cbor.ts';
import { encodeRequest, isAnswerTo, parseAnswer } from '../../protocol/smp/command.ts';
import {
  ConsoleDeframer,
  consoleLineLimit,
  encodeConsoleFrame,
  type ConsoleItem,
} from '../../protocol/smp/console-frame.ts';
import { crc16 } from '../../protocol/smp/crc16.ts';
import { readFailure } from '../../protocol/smp/failure.ts';
import { fsDownload, fsDownloadOverheadBytes } from '../../protocol/smp/fs-group.ts';
import { decodeSmpMessage, encodeSmpMessage, smpOp } from '../../protocol/smp/message.ts';
import { osEcho } from '../../protocol/smp/os-group.ts';
import { annotatedHex } from './annotated-hex.ts';
import { capturedAnswers, capturedErrors, capturedRequests } from './captured-smp.ts';

const limits = { maxMessageBytes: 4096, maxLineBytes: 512 };

function ascii(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function deframe(...chunks: readonly Uint8Array[]): ConsoleItem[] {
  const deframer = new ConsoleDeframer(limits);
  return chunks.flatMap((chunk) => deframer.push(chunk));
}

function messageItem(bytes: Uint8Array): ConsoleItem {
  return { kind: 'message', bytes: new Uint8Array(bytes) };
}

/** Items with plain byte arrays, so that they compare by content. */
function plain(items: readonly ConsoleItem[]): ConsoleItem[] {
  return items.map((item) => (item.kind === 'message' ? messageItem(item.bytes) : item));
}

/** Length, message, CRC, by the definition and not by the encoder under test. */
function rawPacket(message: Uint8Array): Uint8Array {
  const raw = Buffer.alloc(message.length + 4);
  raw.writeUInt16BE(message.length + 2);
  raw.set(message, 2);
  raw.writeUInt16BE(crc16(message), message.length + 2);
  return raw;
}

/** Lines that carry the given numbers of raw bytes each. */
function linesOf(message: Uint8Array, rawBytes: readonly number[]): Uint8Array[] {
  const raw = rawPacket(message);
  let at = 0;
  return rawBytes.map((count, index) => {
    const text = Buffer.from(raw.subarray(at, at + count)).toString('base64');
    at += count;
    return ascii(`${index === 0 ? '\x06\x09' : '\x04\x14'}${text}\n`);
  });
}

const echo = capturedAnswers[0]!;
const echoLine = echo.line!;

describe('messages captured from real servers', () => {
  test.each(capturedRequests)('the request $name is encoded to exactly the captured bytes', (captured) => {
    const message = encodeRequest(captured.command, captured.body, captured.sequence);
    expect(Buffer.from(encodeSmpMessage(message)).toString('hex')).toBe(
      Buffer.from(captured.message).toString('hex'),
    );
  });

  test.each(capturedRequests)('the request $name is decoded to what was asked', (captured) => {
    const { message, rest } = decodeSmpMessage(captured.message);
    expect(rest).toHaveLength(0);
    expect(message).toMatchObject({
      version: 1,
      op: captured.command.access === 'read' ? smpOp.readRequest : smpOp.writeRequest,
      groupId: captured.command.groupId,
      commandId: captured.command.commandId,
      sequence: captured.sequence,
    });
    expect(decodeCborMap(message.payload)).toEqual(captured.body);
  });

  test.each(capturedAnswers)('the answer to $name is matched to its request and parsed', (captured) => {
    const { message, rest } = decodeSmpMessage(captured.message);
    expect(rest).toHaveLength(0);
    expect(isAnswerTo(message, captured.command, captured.sequence)).toBe(true);
    expect(parseAnswer(captured.command, message)).toEqual(captured.answer);
  });

  test.each(capturedErrors)('the error "%s" is read as one', (_name, bytes, failure) => {
    expect(readFailure(decodeCborMap(decodeSmpMessage(bytes).message.payload))).toEqual(failure);
  });

  test.each([
    ['another sequence', { sequence: 2 }],
    ['another command', { commandId: 1 }],
    ['another group', { groupId: 1 }],
    ['the read response instead of the write response', { op: smpOp.readResponse }],
    ['a request', { op: smpOp.writeRequest }],
  ])('an answer with %s is not taken for the answer', (_name, change) => {
    const { message } = decodeSmpMessage(echo.message);
    expect(isAnswerTo(message, osEcho, 1)).toBe(true);
    expect(isAnswerTo({ ...message, ...change }, osEcho, 1)).toBe(false);
  });

  test('"rc": 0 counts as success, as some old commands send it', () => {
    const payload = annotatedHex('bf 62 7263 00 61 72 62 6869 ff');
    const { message } = decodeSmpMessage(echo.message);
    expect(parseAnswer(osEcho, { ...message, payload })).toEqual({ kind: 'ok', body: { r: 'hi' } });
  });

  test('flags and reserved bits of the header are ignored', () => {
    const bytes = new Uint8Array(echo.message);
    bytes[0] = 0xe0 | bytes[0]!;
    bytes[1] = 0xff;
    expect(decodeSmpMessage(bytes)).toEqual(decodeSmpMessage(echo.message));
  });

  test('two messages in one frame are decoded one after the other', () => {
    const first = decodeSmpMessage(concat(echo.message, capturedAnswers[1]!.message));
    expect(first.message.commandId).toBe(0);
    expect(decodeSmpMessage(first.rest).message.commandId).toBe(4);
  });

  test('a payload longer than its 16-bit length field can say is refused', () => {
    const message = { version: 1, op: 0, groupId: 0, sequence: 0, commandId: 0 };
    expect(encodeSmpMessage({ ...message, payload: new Uint8Array(0xffff) })).toHaveLength(8 + 0xffff);
    expect(() => encodeSmpMessage({ ...message, payload: new Uint8Array(0x10000) })).toThrow(
      expect.objectContaining({ code: 'wire.too-large' }),
    );
  });
});

describe('CRC-16/XMODEM', () => {
  test('has the check value of the catalogues', () => {
    expect(crc16(ascii('123456789'))).toBe(0x31c3);
  });

  test.each([
    ['echo request', capturedRequests[0]!.message, 0xa5af],
    ['echo answer', capturedAnswers[0]!.message, 0x351a],
    ['date-time set', capturedRequests[1]!.message, 0xf884],
    ['date-time set answer', capturedAnswers[1]!.message, 0xba0c],
    ['download request', capturedRequests[3]!.message, 0x30d3],
    ['download answer', capturedAnswers[3]!.message, 0xb820],
  ])('of the captured %s is the captured one', (_name, message, crc) => {
    expect(crc16(message)).toBe(crc);
  });
});

describe('console lines captured from real servers', () => {
  const requestsWithLine = capturedRequests.filter((captured) => captured.line);
  const withLine = [...capturedRequests, ...capturedAnswers].filter((captured) => captured.line);

  test.each(requestsWithLine)('the request $name is framed to exactly the captured line', (captured) => {
    expect(concat(...encodeConsoleFrame(captured.message))).toEqual(captured.line);
  });

  test.each(withLine)('the line of $name gives its message', (captured) => {
    expect(plain(deframe(captured.line!))).toEqual([messageItem(captured.message)]);
  });
});

describe('the first chunk of a long file, as Zephyr sends it', () => {
  const data = Uint8Array.from({ length: 334 }, (_, index) => (index * 7 + (index >> 3)) & 0xff);
  const message = concat(
    annotatedHex(`
      09 00 0166 0008 42 00
      bf 63 6f6666 00       ; "off": 0
         64 64617461 59 014e ; "data": 334 bytes`),
    data,
    annotatedHex('63 6c656e 1a 000186a0 ff ; "len": 100000'),
  );
  // 93 raw bytes, then 90 a line; the tail of "len", the break and the CRC stand on a short last line.
  const lines = linesOf(message, [93, 90, 90, 90, 7]);

  test('the lines have the captured lengths', () => {
    expect(message).toHaveLength(366);
    expect(lines.map((line) => line.length)).toEqual([127, 123, 123, 123, 15]);
    expect(Buffer.from(lines[4]!).toString('latin1').slice(0, 8)).toBe('\x04\x14AAGGoP');
  });

  test('they give one message with all of the data', () => {
    const items = deframe(...lines);
    expect(plain(items)).toEqual([messageItem(message)]);
    const decoded = decodeSmpMessage((items[0] as { bytes: Uint8Array }).bytes);
    expect(parseAnswer(fsDownload, decoded.message)).toEqual({
      kind: 'ok',
      body: { off: 0, data, len: 100_000 },
    });
  });

  test('the chunk is the buffer size less the stated overhead', () => {
    expect(data.length).toBe(384 - fsDownloadOverheadBytes);
  });

  test('our own framing of it has full lines of 127 bytes and gives the same message', () => {
    const own = encodeConsoleFrame(message);
    // 370 raw bytes: three lines of 93 and one of 91.
    expect(own.map((line) => line.length)).toEqual([127, 127, 127, 127]);
    expect(own.every((line) => line.length <= consoleLineLimit)).toBe(true);
    expect(plain(deframe(...own))).toEqual([messageItem(message)]);
  });

  test.each([
    ['a last line with the CRC alone', [93, 90, 90, 90, 5, 2]],
    ['the CRC cut in two', [93, 90, 90, 90, 6, 1]],
    ['a single byte a line at the end', [93, 90, 90, 90, 1, 1, 1, 1, 1, 1, 1]],
    ['the length field alone on the first line', [2, 93, 93, 93, 89]],
    ['one line of 295 bytes and one more', [219, 151]],
  ])('%s is accepted', (_name, split) => {
    expect(split.reduce((sum, count) => sum + count)).toBe(370);
    expect(plain(deframe(...linesOf(message, split)))).toEqual([messageItem(message)]);
  });

  test('a line of 295 bytes is as long as it was on the server that accepted it', () => {
    expect(linesOf(message, [219, 151])[0]).toHaveLength(295);
  });

  test.each([1, 2, 3, 64, 126, 128, 1000])('chunks of %i bytes give the same message', (size) => {
    const stream = concat(...lines);
    const deframer = new ConsoleDeframer(limits);
    const items: ConsoleItem[] = [];
    for (let at = 0; at < stream.length; at += size)
      items.push(...deframer.push(stream.subarray(at, at + size)));
    expect(plain(items)).toEqual([messageItem(message)]);
  });

  test('log text between the lines of a frame is reported and does not harm it', () => {
    const log = ascii('[00:00:12.345] <inf> storage: mounted\r\n');
    const items = deframe(lines[0]!, log, lines[1]!, lines[2]!, ascii('\n'), lines[3]!, log, lines[4]!);
    expect(plain(items)).toEqual([
      { kind: 'text', line: '[00:00:12.345] <inf> storage: mounted' },
      { kind: 'text', line: '[00:00:12.345] <inf> storage: mounted' },
      messageItem(message),
    ]);
  });

  test('a missing line in the middle loses the message, and the next one is received', () => {
    const items = deframe(lines[0]!, lines[1]!, lines[3]!, lines[4]!, echoLine);
    expect(plain(items)).toEqual([
      { kind: 'damaged', reason: 'packet cut short by another' },
      messageItem(echo.message),
    ]);
  });

  test('a repeated line is more than was announced and loses the message', () => {
    const items = deframe(...lines.slice(0, 4), lines[3]!, lines[4]!, echoLine);
    expect(items.map((item) => item.kind)).toEqual(['damaged', 'damaged', 'message']);
  });

  test('a message larger than the limit is refused at its first line, before memory is taken for it', () => {
    const deframer = new ConsoleDeframer({ ...limits, maxMessageBytes: 365 });
    const items = lines.flatMap((line) => deframer.push(line));
    expect(items[0]).toEqual({ kind: 'damaged', reason: 'message of 366 bytes' });
    expect(items.some((item) => item.kind === 'message')).toBe(false);
    const exact = new ConsoleDeframer({ ...limits, maxMessageBytes: 366 });
    expect(lines.flatMap((line) => exact.push(line)).map((item) => item.kind)).toEqual(['message']);
  });
});

describe('a console line that differs from the rule', () => {
  const text = Buffer.from(echoLine).toString('latin1').slice(0, -1);

  /** Whatever a line did, the next frame must get through. */
  function kindsThenGood(line: string): string[] {
    const items = deframe(ascii(line), echoLine);
    expect(plain(items.slice(-1))).toEqual([messageItem(echo.message)]);
    return items.slice(0, -1).map((item) => item.kind);
  }

  test('CR LF ends it as well', () => {
    expect(kindsThenGood(`${text}\r\n`)).toEqual(['message']);
  });

  test('text on the line before it is reported as text', () => {
    expect(deframe(ascii('uart:~$ hello\n'), echoLine)[0]).toEqual({ kind: 'text', line: 'uart:~$ hello' });
  });

  test('blank lines are nothing', () => {
    expect(kindsThenGood('\n\r\n\n')).toEqual([]);
  });

  test('junk before the marker makes it text', () => {
    expect(kindsThenGood(`x${text}\n`)).toEqual(['text']);
  });

  test.each(['!', '.', ' ', '\0', '\xff', '='])(
    'the character %j in the base64 text loses it',
    (character) => {
      const line = `${text.slice(0, 10)}${character}${text.slice(11)}\n`;
      expect(deframe(ascii(line))).toEqual([{ kind: 'damaged', reason: 'not base64' }]);
      expect(kindsThenGood(line)).toEqual(['damaged']);
    },
  );

  test('one base64 character altered is a wrong CRC', () => {
    const altered = text.at(16) === 'A' ? 'B' : 'A';
    const items = deframe(ascii(`${text.slice(0, 16)}${altered}${text.slice(17)}\n`));
    expect(items).toEqual([{ kind: 'damaged', reason: 'CRC wrong' }]);
  });

  test('missing padding loses it', () => {
    expect(text.endsWith('==')).toBe(true);
    expect(kindsThenGood(`${text.slice(0, -1)}\n`)).toEqual(['damaged']);
    expect(kindsThenGood(`${text.slice(0, -2)}\n`)).toEqual(['damaged']);
  });

  test('a continuation without a start is dropped', () => {
    expect(kindsThenGood(`\x04\x14${text.slice(2)}\n`)).toEqual(['damaged']);
  });

  test.each([
    '\x06\x09',
    '\x06\x09AA==',
    '\x06\x09AAA=',
    '\x06\x09AAEA',
    '\x06\x09====',
    '\x04\x14',
    '\x06',
    '\x04',
  ])('the stub %j gives no message', (stub) => {
    expect(kindsThenGood(`${stub}\n`)).not.toContain('message');
  });

  test('a line longer than the limit is dropped when it is a frame and cut when it is text', () => {
    const items = deframe(ascii(`\x06\x09${'A'.repeat(1000)}\n`), ascii(`${'t'.repeat(1000)}\n`), echoLine);
    expect(plain(items)).toEqual([
      { kind: 'damaged', reason: 'line too long' },
      { kind: 'text', line: 't'.repeat(limits.maxLineBytes) },
      messageItem(echo.message),
    ]);
  });

  test('bytes after the announced length lose it', () => {
    const raw = concat(rawPacket(echo.message), new Uint8Array(3));
    expect(kindsThenGood(`\x06\x09${Buffer.from(raw).toString('base64')}\n`)).toEqual(['damaged']);
  });
});

describe('encodeConsoleFrame', () => {
  test.each([
    [0, [2 + 8 + 1]],
    [89, [127]],
    [90, [127, 2 + 4 + 1]],
    [182, [127, 127]],
    [183, [127, 127, 7]],
  ])('a message of %i bytes takes lines of %j bytes', (size, lengths) => {
    const lines = encodeConsoleFrame(new Uint8Array(size).fill(0x5a));
    expect(lines.map((line) => line.length)).toEqual(lengths);
  });

  test('the largest message that the length field can say is framed, one byte more is refused', () => {
    const deframer = new ConsoleDeframer({ maxMessageBytes: 0xfffd, maxLineBytes: 127 });
    const message = new Uint8Array(0xfffd).fill(0xa7);
    const items = encodeConsoleFrame(message).flatMap((line) => deframer.push(line));
    expect(plain(items)).toEqual([messageItem(message)]);
    expect(() => encodeConsoleFrame(new Uint8Array(0xfffe))).toThrow(
      expect.objectContaining({ code: 'wire.too-large' }),
    );
  });
});
