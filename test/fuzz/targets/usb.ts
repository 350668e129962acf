import { isDeepStrictEqual } from 'node:util';
import { parseReportDescriptor, smpReportDescriptor } from '../../../protocol/hid/report-descriptor.ts';
import { encodeHidReports, HidReassembler } from '../../../protocol/hid/report-frame.ts';
import { firstUsage } from '../../../dock/host/hid-list.ts';
import { ByteReader } from '../../../protocol/ptp/byte-reader.ts';
import { ByteWriter } from '../../../protocol/ptp/byte-writer.ts';
import { ContainerStream, encodeCommand, encodeData } from '../../../protocol/ptp/container.ts';
import {
  decodeDeviceInfo,
  decodeDevicePropDesc,
  decodeObjectInfo,
  decodeStorageInfo,
  encodePtpString,
} from '../../../protocol/ptp/datasets.ts';
import { formatPtpDate, instantOf, parsePtpDate } from '../../../protocol/ptp/datetime.ts';
import { quirksFor } from '../../../protocol/ptp/quirks.ts';
import { keyboardReports, vendorReports } from '../../support/fake-sysfs.ts';
import { bytesOfText, chosen, expectThat, orRefused, utf8, type FuzzTarget } from '../target.ts';

const maxMessageBytes = 1024;
const message = Buffer.from('0908001200400103bf6570617468', 'hex');
const reports = [16, 64].map((reportBytes) =>
  Buffer.concat([Uint8Array.of(reportBytes), ...encodeHidReports(message, { reportBytes })]),
);

const deviceInfo = new ByteWriter()
  .u16(100)
  .u32(6)
  .u16(100)
  .string('microsoft.com: 1.0; android.com: 1.0;')
  .u16(0)
  .u16Array([0x1001, 0x1002, 0x1007, 0x1008, 0x95c1])
  .u16Array([0x4002])
  .u16Array([0x5001, 0x5011])
  .u16Array([])
  .u16Array([0x3001])
  .string('Canon')
  .string('uMTP')
  .string('1.0')
  .string('0042')
  .bytes();
const objectInfo = new ByteWriter()
  .u32(0x10001)
  .u16(0x300b)
  .u16(1)
  .u32(1000)
  .u16(0)
  .u32Array([0, 0, 0, 0, 0])
  .u32(0)
  .u16(1)
  .u32(0)
  .u32(0)
  .string('A.MP4')
  .string('20261122T183005')
  .string('20261122T183005.5+0500')
  .bytes();
const storageInfo = new ByteWriter()
  .u16(3)
  .u16(2)
  .u16(0)
  .u64(1n << 40n)
  .u64(5n)
  .u32(9)
  .string('SD')
  .bytes();
const description = (type: number): Uint8Array =>
  new ByteWriter().u16(0x5001).u16(type).u8(1).u64(5).u64(6).u8(1).u64(1).u64(9).bytes();
const text = new ByteWriter()
  .u16(0x5011)
  .u16(0xffff)
  .u8(1)
  .string('')
  .string('20261122T183005')
  .u8(0)
  .bytes();

const datasets: readonly ((bytes: Uint8Array) => void)[] = [
  (bytes) => {
    const info = decodeDeviceInfo(bytes);
    expectThat(quirksFor({ vendorId: 0x4e8, productId: 1, ...info }).maxPartialBytes >= 0, 'a quirk');
  },
  (bytes) => {
    const { sizeBytes = 0, name, capturedAt, modifiedAt } = decodeObjectInfo(bytes);
    expectThat(sizeBytes >= 0 && Number.isSafeInteger(sizeBytes), `size ${sizeBytes}`);
    for (const string of [name, capturedAt, modifiedAt]) expectThat(string.length <= 255, 'a long string');
  },
  (bytes) => void decodeStorageInfo(bytes),
  (bytes) => {
    const { current } = decodeDevicePropDesc(bytes);
    if (typeof current === 'string' && current.length <= 254) {
      expectThat(new ByteReader(encodePtpString(current)).string('again') === current, 'another string');
    }
  },
];

const dates = bytesOfText(
  '20261122T183005',
  '20261122T183005.5',
  '20261122T183005Z',
  '20261122T183005.0-0330',
);

export const usbTargets: readonly FuzzTarget[] = [
  {
    name: 'hid-reports',
    story: 'reports of any size: never throw, never more than one message long; what is sent comes out',
    seeds: reports,
    words: ['\x01\x00', '\x02\x01', '\x80'],
    run(input) {
      const reportBytes = 8 + (input[0] ?? 0);
      const reassembler = new HidReassembler({ maxMessageBytes });
      for (let at = 1; at < input.length; at += reportBytes) {
        for (const item of reassembler.push(input.subarray(at, at + reportBytes))) {
          expectThat(item.kind === 'damaged' || item.bytes.length <= maxMessageBytes, 'too long a message');
        }
      }
      const sent = input.subarray(0, maxMessageBytes);
      const items = encodeHidReports(sent, { reportBytes, counter: input[1] ?? 0 }).flatMap((report) =>
        reassembler.push(report),
      );
      const last = items.at(-1);
      expectThat(last?.kind === 'message' && Buffer.compare(last.bytes, sent) === 0, 'did not come out');
    },
  },
  {
    name: 'hid-descriptor',
    story: 'a report descriptor: malformed, or report sizes within what the kernel takes',
    seeds: [smpReportDescriptor(64), smpReportDescriptor(512), vendorReports, keyboardReports],
    words: [
      Buffer.from('a4', 'hex'),
      Buffer.from('b4', 'hex'),
      Buffer.from('fe', 'hex'),
      Buffer.from('97ffffffff', 'hex'),
    ],
    mostBytes: 5000,
    run(input) {
      firstUsage(input);
      const found = orRefused(['wire.malformed'], () => parseReportDescriptor(input));
      if (!found) return;
      for (const bytes of [found.inputBytes, found.outputBytes]) {
        expectThat(Number.isInteger(bytes) && bytes >= 0 && bytes <= 16_384, `${bytes} bytes`);
      }
    },
  },
  {
    name: 'ptp-stream',
    story: 'bulk reads of a camera: malformed, or no more bytes than came, in containers that add up',
    seeds: [
      Buffer.concat([
        Uint8Array.of(200, 0),
        encodeData(0x1001, 1, deviceInfo),
        encodeCommand(0x2001, 1, [1, 2]),
      ]),
      Buffer.concat([Uint8Array.of(12, 1), encodeData(0x1009, 7, new Uint8Array(500))]),
      Buffer.from('4001ffffffff0200091007000000aabbccdd0c00000003000120070000000', 'hex'),
    ],
    words: [Buffer.from('ffffffff', 'hex'), Buffer.from('0c000000', 'hex'), Buffer.from('03000120', 'hex')],
    run(input) {
      const cutBytes = 1 + (input[0] ?? 0);
      const expected = (input[1] ?? 0) & 1 ? 2 ** 32 + (input[1] ?? 0) : undefined;
      const stream = new ContainerStream(64);
      stream.expectData(expected);
      const body = input.subarray(2);
      let delivered = 0;
      let inContainer = 0;
      orRefused(['wire.malformed'], () => {
        for (let at = 0; at < body.length; at += cutBytes) {
          for (const part of stream.push(body.subarray(at, at + cutBytes))) {
            if (part.kind === 'data') {
              delivered += part.bytes.length;
              inContainer += part.bytes.length;
            } else if (part.kind === 'data-end') {
              expectThat(part.sizeBytes === inContainer, `${part.sizeBytes} stated, ${inContainer} came`);
              inContainer = 0;
            } else {
              expectThat(part.parameters.length <= 5, `${part.parameters.length} parameters`);
            }
          }
          expectThat((stream.remainingBytes ?? 0) >= 0, `${stream.remainingBytes} bytes remain`);
        }
      });
      expectThat(delivered <= body.length, 'more bytes than came');
    },
  },
  {
    name: 'ptp-datasets',
    story: 'device, object and storage information, property descriptions: a value or wire.malformed',
    seeds: [deviceInfo, objectInfo, storageInfo, text, ...[1, 2, 3, 4, 5, 6, 7, 8].map(description)].map(
      (bytes, index) => Buffer.concat([Uint8Array.of(Math.min(index, 3)), bytes]),
    ),
    words: [Buffer.from('ffff', 'hex'), Buffer.from('ffffffff', 'hex'), Buffer.from('0130', 'hex')],
    run(input) {
      const { choice, rest } = chosen(datasets, input);
      orRefused(['wire.malformed'], () => choice(rest));
    },
  },
  {
    name: 'ptp-dates',
    story: "a camera's way of writing dates: none, or a clock set in it is read back as it was set",
    seeds: dates,
    words: ['T', 'Z', '+9999', '-0330', '.5', ' ', '\n', '0000', '9999'],
    run(input) {
      const like = utf8(input);
      const date = parsePtpDate(like);
      if (date) expectThat(Number.isInteger(instantOf(date, 300)), 'no instant');
      const at = Date.UTC(2026, 10, 22, 13, 30, 5);
      const written = parsePtpDate(formatPtpDate(at, like, 300));
      if (!date) return;
      expectThat(written !== undefined && instantOf(written, 300) === at, `set to ${written?.digitsAt}`);
      expectThat(isDeepStrictEqual(written?.zoneMinutes, date.zoneMinutes), 'another zone');
    },
  },
];
