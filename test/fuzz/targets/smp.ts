import { isDeepStrictEqual } from 'node:util';
import * as cameraGroup from '../../../protocol/smp/camera-group.ts';
import { decodeCborMap, encodeCborMap } from '../../../protocol/smp/cbor.ts';
import { parseAnswer, type AnySmpCommand } from '../../../protocol/smp/command.ts';
import {
  ConsoleDeframer,
  encodeConsoleFrame,
  type ConsoleItem,
} from '../../../protocol/smp/console-frame.ts';
import * as enumerationGroup from '../../../protocol/smp/enumeration-group.ts';
import * as fsGroup from '../../../protocol/smp/fs-group.ts';
import { decodeSmpMessage, encodeSmpMessage } from '../../../protocol/smp/message.ts';
import * as osGroup from '../../../protocol/smp/os-group.ts';
import * as statGroup from '../../../protocol/smp/stat-group.ts';
import { capturedAnswers, capturedRequests } from '../../protocol/captured-smp.ts';
import { pageVectors } from '../../protocol/spec-page.ts';
import { bytesOfText, chosen, expectThat, orRefused, utf8, type FuzzTarget } from '../target.ts';

/** Every command of every group, found by its shape, so that none is forgotten. */
const commands: readonly AnySmpCommand[] = [cameraGroup, enumerationGroup, fsGroup, osGroup, statGroup]
  .flatMap((group): unknown[] => Object.values(group))
  .filter(
    (value): value is AnySmpCommand => typeof value === 'object' && value !== null && 'commandId' in value,
  );

const messages = [
  ...pageVectors.flatMap(({ bytes, expected }) => (expected.kind === 'frame' ? [] : [bytes])),
  ...[...capturedRequests, ...capturedAnswers].map(({ message }) => message),
];
const keys = [
  ...new Set(
    commands.flatMap(({ request, response }) => Object.keys({ ...request.shape, ...response.shape })),
  ),
];
const words = [...keys, 'err', 'rc', 'rsn', '__proto__', '\xa1', '\xbf', '\xff', '\x9f', '\x1b'];
const limits = { maxMessageBytes: 1024, maxLineBytes: 256 };

export const smpTargets: readonly FuzzTarget[] = [
  {
    name: 'smp-message',
    story: 'header and payload of SMP: malformed, or encodes to the same bytes but for reserved bits',
    seeds: messages,
    words,
    run(input) {
      const decoded = orRefused(['wire.malformed'], () => decodeSmpMessage(input));
      if (!decoded) return;
      const again = encodeSmpMessage(decoded.message);
      const expected = Uint8Array.from(input.subarray(0, again.length));
      expected[0] = (expected[0] ?? 0) & 0x1f;
      expected[1] = 0;
      expectThat(Buffer.compare(again, expected) === 0, 'another message came out');
      expectThat(again.length + decoded.rest.length === input.length, 'bytes were lost');
    },
  },
  {
    name: 'smp-cbor',
    story: 'a CBOR map: malformed, or the same again after encoding',
    seeds: messages.map((message) => message.subarray(8)),
    words,
    run(input) {
      const map = orRefused(['wire.malformed'], () => decodeCborMap(input));
      if (!map) return;
      expectThat(Object.getPrototypeOf(map) === Object.prototype, 'a map with a prototype of its own');
      const again = decodeCborMap(encodeCborMap(map));
      expectThat(isDeepStrictEqual(again, comparable(map)), 'another map came out');
    },
  },
  {
    name: 'smp-answers',
    story: 'the body of every command of every group: a value, wire.malformed or smp.bad-response',
    seeds: commands.flatMap((command, index) =>
      messages
        .filter((message) => message[5] === command.groupId && message[7] === command.commandId)
        .map((message) => Buffer.concat([Uint8Array.of(index), message.subarray(8)])),
    ),
    words,
    run(input) {
      const { choice: command, rest: payload } = chosen(commands, input);
      const { groupId, commandId } = command;
      const message = { version: 1, op: 1, groupId, sequence: 0, commandId, payload };
      const answer = orRefused(['wire.malformed', 'smp.bad-response'], () => parseAnswer(command, message));
      const body = orRefused(['wire.malformed'], () => decodeCborMap(payload));
      if (answer?.kind === 'ok') {
        // "rc": 0 is success, wherever it is said.
        const { rc = 0 } = (body?.['err'] ?? {}) as { rc?: unknown };
        expectThat(body !== undefined && rc === 0, 'an error was taken for success');
      }
      if (!body) return;
      command.request.safeParse(body);
      for (const entry of Array.isArray(body['list']) ? body['list'] : []) {
        cameraGroup.cameraListEntry.safeParse(entry);
      }
    },
  },
  {
    name: 'smp-console',
    story: 'a serial line: messages and text within their limits, the same however the bytes are cut',
    seeds: [...messages.slice(0, 20), new Uint8Array(2 * limits.maxMessageBytes)].map((message, index) => {
      const lines = encodeConsoleFrame(message);
      return Buffer.concat([Uint8Array.of(index * 7), ...lines, Buffer.from('log text\r\n'), ...lines]);
    }),
    words: ['\x06\x09', '\x04\x14', '\n', '\r\n', '=', '=='],
    run(input) {
      const cutBytes = 1 + (input[0] ?? 0);
      const stream = input.subarray(1);
      const whole = new ConsoleDeframer(limits).push(stream);
      const cut = new ConsoleDeframer(limits);
      const pieces: ConsoleItem[] = [];
      for (let at = 0; at < stream.length; at += cutBytes) {
        pieces.push(...cut.push(stream.subarray(at, at + cutBytes)));
      }
      expectThat(isDeepStrictEqual(pieces, whole), 'the cut of the bytes changed what came out');
      for (const item of whole) {
        const length =
          item.kind === 'message' ? item.bytes.length : item.kind === 'text' ? item.line.length : 0;
        const most = item.kind === 'message' ? limits.maxMessageBytes : limits.maxLineBytes;
        expectThat(length <= most, `${item.kind} of ${length}`);
      }
    },
  },
  {
    name: 'smp-frame',
    story: 'any message in console lines: comes out as it went in, behind whatever came before',
    seeds: messages.map((message) => Buffer.concat([Uint8Array.of(0), message])),
    run(input) {
      const junk = input.subarray(1, 1 + (input[0] ?? 0));
      const message = input.subarray(1 + junk.length).subarray(0, limits.maxMessageBytes);
      const deframer = new ConsoleDeframer(limits);
      deframer.push(Buffer.concat([junk, Buffer.from('\n')]));
      const items = encodeConsoleFrame(message).flatMap((line) => deframer.push(line));
      const last = items.at(-1);
      const isSame = last?.kind === 'message' && Buffer.compare(last.bytes, message) === 0;
      expectThat(isSame, 'the message did not come out');
    },
  },
  {
    name: 'smp-datetime',
    story: 'the time of the OS group: a whole instant, or none',
    seeds: bytesOfText('2026-11-22T18:30:05', '2026-11-22 18:30:05.123456Z', '0001-01-01T00:00:00+05:00'),
    words: ['T', 'Z', '+14:00', '-00:00', '.999999', '9999', '24:00:00', '23:59:60'],
    run(input) {
      const at = osGroup.parseDatetime(utf8(input));
      expectThat(at === undefined || Number.isInteger(at), `${at}`);
    },
  },
];

/** As CBOR can say it: an absent value has no key, and there is one zero. */
function comparable(map: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const present = Object.entries(map).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present.map(([key, value]) => [key, withOneZero(value)]));
}

function withOneZero(value: unknown): unknown {
  if (Object.is(value, -0)) return 0;
  if (Array.isArray(value)) return value.map(withOneZero);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withOneZero(inner)]));
}
