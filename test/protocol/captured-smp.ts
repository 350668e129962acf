import * as fs from '../../protocol/smp/fs-group.ts';
import * as os from '../../protocol/smp/os-group.ts';
import type { AnySmpCommand } from '../../protocol/smp/command.ts';
import { annotatedHex } from './annotated-hex.ts';

/**
 * Messages and console lines captured from unmodified Zephyr SMP servers (3.4.99 and 4.4.0) and the requests
 * that were sent to them. `line` is what stood on the wire, where it was recorded.
 */
export interface CapturedRequest {
  readonly name: string;
  readonly command: AnySmpCommand;
  readonly body: Record<string, unknown>;
  readonly sequence: number;
  readonly message: Uint8Array;
  readonly line?: Uint8Array;
}

export interface CapturedAnswer {
  readonly name: string;
  readonly command: AnySmpCommand;
  readonly sequence: number;
  readonly answer: Record<string, unknown>;
  readonly message: Uint8Array;
  readonly line?: Uint8Array;
}

const start = '\x06\x09';

function consoleLine(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(`${start}${base64}\n`, 'latin1'));
}

export const capturedRequests: readonly CapturedRequest[] = [
  {
    name: 'echo "hi"',
    command: os.osEcho,
    body: { d: 'hi' },
    sequence: 1,
    message: annotatedHex(`
      0a 00 0006 0000 01 00  ; write, version 2, 6 bytes, group 0, sequence 1, command 0
      a1 61 64 62 68 69      ; {"d": "hi"}`),
    line: annotatedHex(`
      06 09                                                       ; start of a packet
      4142414b 4141414741414142 414b46685a474a6f 61615776         ; ABAKAAAGAAABAKFhZGJoaaWv
      0a`),
  },
  {
    name: 'date-time set',
    command: os.osWriteDatetime,
    body: { datetime: '2025-11-22T18:30:05' },
    sequence: 2,
    message: annotatedHex(`
      0a 00 001e 0000 02 04
      a1 68 6461746574696d65                        ; "datetime"
      73 323032352d31312d32325431383a33303a3035     ; "2025-11-22T18:30:05"`),
    line: consoleLine('ACgKAAAeAAACBKFoZGF0ZXRpbWVzMjAyNS0xMS0yMlQxODozMDowNfiE'),
  },
  {
    name: 'date-time get',
    command: os.osReadDatetime,
    body: {},
    sequence: 3,
    message: annotatedHex('08 00 0001 0000 03 04  a0'),
    line: consoleLine('AAsIAAABAAADBKBMIQ=='),
  },
  {
    name: 'download of a short file',
    command: fs.fsDownload,
    body: { off: 0, name: '/lfs1/A.TXT' },
    sequence: 0x42,
    message: annotatedHex(`
      08 00 0017 0008 42 00
      a2 63 6f6666 00                           ; "off": 0
         64 6e616d65 6b 2f6c6673312f412e545854  ; "name": "/lfs1/A.TXT"`),
    line: consoleLine('ACEIAAAXAAhCAKJjb2ZmAGRuYW1lay9sZnMxL0EuVFhUMNM='),
  },
  {
    name: 'download of a long file',
    command: fs.fsDownload,
    body: { off: 0, name: '/lfs1/REC0001.MP4' },
    sequence: 0x42,
    message: annotatedHex(`
      08 00 001d 0008 42 00
      a2 63 6f6666 00
         64 6e616d65 71 2f6c6673312f524543303030312e4d5034`),
    line: consoleLine('ACcIAAAdAAhCAKJjb2ZmAGRuYW1lcS9sZnMxL1JFQzAwMDEuTVA0KaQ='),
  },
];

export const capturedAnswers: readonly CapturedAnswer[] = [
  {
    name: 'echo "hi"',
    command: os.osEcho,
    sequence: 1,
    answer: { kind: 'ok', body: { r: 'hi' } },
    message: annotatedHex('0b 00 0007 0000 01 00  bf 61 72 62 68 69 ff'),
    line: consoleLine('ABELAAAHAAABAL9hcmJoaf81Gg=='),
  },
  {
    name: 'date-time set',
    command: os.osWriteDatetime,
    sequence: 2,
    answer: { kind: 'ok', body: {} },
    message: annotatedHex('0b 00 0002 0000 02 04  bf ff'),
    line: consoleLine('AAwLAAACAAACBL//ugw='),
  },
  {
    name: 'date-time get',
    command: os.osReadDatetime,
    sequence: 3,
    answer: { kind: 'ok', body: { datetime: '2025-11-22T18:30:06' } },
    message: annotatedHex(`
      09 00 001f 0000 03 04
      bf 68 6461746574696d65 73 323032352d31312d32325431383a33303a3036 ff`),
  },
  {
    name: 'download of a short file',
    command: fs.fsDownload,
    sequence: 0x42,
    answer: { kind: 'ok', body: { off: 0, data: annotatedHex('c6 7e 81 6b 4b'), len: 5 } },
    message: annotatedHex(`
      09 00 0017 0008 42 00
      bf 63 6f6666 00            ; "off": 0
         64 64617461 45 c67e816b4b ; "data"
         63 6c656e 05 ff         ; "len": 5`),
    line: consoleLine('ACEJAAAXAAhCAL9jb2ZmAGRkYXRhRcZ+gWtLY2xlbgX/uCA='),
  },
  {
    name: 'file not found, version 2',
    command: fs.fsDownload,
    sequence: 0x1c,
    answer: { kind: 'failed', scope: { groupId: 8 }, code: 3 },
    message: annotatedHex('09 00 0013 0008 1c 00  bf 63 657272 bf 65 67726f7570 08 62 7263 03 ff ff'),
  },
  {
    name: 'file not found, version 1',
    command: fs.fsDownload,
    sequence: 0x1c,
    answer: { kind: 'failed', scope: 'common', code: 5 },
    message: annotatedHex('01 00 0006 0008 1c 00  bf 62 7263 05 ff'),
  },
];

/** Errors outside the commands that have a definition here: [name, bytes, failure]. */
export const capturedErrors: readonly (readonly [string, Uint8Array, Record<string, unknown>])[] = [
  [
    'unsupported group 77 under version 2',
    annotatedHex('09 00 0006 004d 0c 00  bf 62 7263 08 ff'),
    { scope: 'common', code: 8 },
  ],
  ['version too new', annotatedHex('0b 00 0006 0000 09 00  bf 62 7263 0d ff'), { scope: 'common', code: 13 }],
  [
    'upload conflict with the stored length beside the error',
    annotatedHex('0b 00 0018 0008 05 00  bf 63 657272 bf 65 67726f7570 08 62 7263 0b ff 63 6c656e 14 ff'),
    { scope: { groupId: 8 }, code: 11 },
  ],
];
