/**
 * SMP over HID: the public page against our codec, then what loss, repetition, disorder and damage may do to it. The
 * kernel of the host drops reports when nobody reads them in time: a message may then be missing, and must never be
 * wrong. The vectors come from an independent generator, scripts/hid-vectors.py.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  parseReportDescriptor,
  smpReportDescriptor,
  smpUsage,
} from '../../protocol/hid/report-descriptor.ts';
import {
  encodeHidReports,
  HidReassembler,
  hidReportCount,
  hidReportKind,
} from '../../protocol/hid/report-frame.ts';
import { annotatedHex } from './annotated-hex.ts';
import { pageVectors as groupVectors } from './spec-page.ts';

type Expected =
  | { kind: 'descriptor'; reportBytes: number }
  | { kind: 'message'; message: string; reportBytes: number; counter: number; reports: number }
  | { kind: 'stream'; reportBytes: number; messages: readonly string[] };

const page = readFileSync(new URL('../../protocol/hid/smp-over-hid.md', import.meta.url), 'utf8');
const vectors = [
  ...page.matchAll(/```hex vector ([a-z0-9-]+)\n(.*?)```\n\n```json expected\n(.*?)```/gs),
].map(([, name = '', hex = '', json = '']) => ({
  name,
  bytes: annotatedHex(hex),
  expected: JSON.parse(json) as Expected,
}));

function vectorsOf<Kind extends Expected['kind']>(kind: Kind) {
  return vectors.flatMap(({ name, bytes, expected }) =>
    expected.kind === kind ? [{ name, bytes, expected: expected as Extract<Expected, { kind: Kind }> }] : [],
  );
}

function messageNamed(name: string): Uint8Array {
  const vector = groupVectors.find((candidate) => candidate.name === name);
  if (!vector) throw new Error(`camera-group.md has no vector ${name}`);
  return vector.bytes;
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: bytes.length / size }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
}

const maxMessageBytes = 8192;

function messagesOf(
  reports: readonly Uint8Array[],
  into = new HidReassembler({ maxMessageBytes }),
): string[] {
  return reports
    .flatMap((report) => into.push(report))
    .flatMap((item) => (item.kind === 'message' ? [hex(item.bytes)] : []));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

describe('the page of SMP over HID', () => {
  test('has vectors of each sort', () => {
    expect(vectorsOf('descriptor')).toHaveLength(2);
    expect(vectorsOf('message').length).toBeGreaterThanOrEqual(4);
    expect(vectorsOf('stream').length).toBeGreaterThanOrEqual(7);
  });

  test.for(vectorsOf('descriptor'))('descriptor $name is ours, and is understood', ({ bytes, expected }) => {
    const { reportBytes } = expected;
    expect(hex(smpReportDescriptor(reportBytes))).toBe(hex(bytes));
    expect(parseReportDescriptor(bytes)).toEqual({
      inputBytes: reportBytes,
      outputBytes: reportBytes,
      hasReportIds: false,
      applications: [{ usagePage: smpUsage.page, usage: smpUsage.device }],
    });
  });

  test.for(vectorsOf('message'))('vector $name is what we send and understand', ({ bytes, expected }) => {
    const { reportBytes, counter, reports } = expected;
    const message = messageNamed(expected.message);
    const encoded = encodeHidReports(message, { reportBytes, counter });
    expect(encoded.map(hex)).toEqual(cut(bytes, reportBytes).map(hex));
    expect(encoded).toHaveLength(reports);
    expect(hidReportCount(message.length, reportBytes)).toBe(reports);
    expect(messagesOf(cut(bytes, reportBytes))).toEqual([hex(message)]);
  });

  test.for(vectorsOf('stream'))('stream $name gives the messages it states', ({ bytes, expected }) => {
    expect(messagesOf(cut(bytes, expected.reportBytes))).toEqual(
      expected.messages.map((name) => hex(messageNamed(name))),
    );
  });
});

const anyReportBytes = fc.oneof(fc.constantFrom(8, 16, 64, 512, 1024), fc.integer({ min: 8, max: 1024 }));
const anyMessage = fc.oneof(
  fc.uint8Array({ minLength: 0, maxLength: 300 }),
  fc.integer({ min: 0, max: maxMessageBytes }).map((length) => new Uint8Array(length).fill(0xa5)),
);
const anyCounter = fc.integer({ min: 0, max: 255 });

/** Reports of several messages as one sender sends them, its counter running on. */
function stream(messages: readonly Uint8Array[], reportBytes: number, counter: number): Uint8Array[] {
  const reports: Uint8Array[] = [];
  for (const message of messages) {
    reports.push(...encodeHidReports(message, { reportBytes, counter: (counter + reports.length) & 0xff }));
  }
  return reports;
}

/** Whether all of `part` occurs in `whole` in the same order. */
function isSubsequence(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0;
  for (const each of whole) if (each === part[at]) at++;
  return at === part.length;
}

describe('messages in reports', () => {
  test('come out as they went in, whatever the sizes and the counter', () => {
    fc.assert(
      fc.property(
        fc.array(anyMessage, { minLength: 1, maxLength: 4 }),
        anyReportBytes,
        anyCounter,
        (messages, reportBytes, counter) => {
          const reports = stream(messages, reportBytes, counter);
          expect(reports.every((report) => report.length === reportBytes)).toBe(true);
          expect(messagesOf(reports)).toEqual(messages.map(hex));
        },
      ),
    );
  });

  test.for([8, 9, 63, 64, 65, 1023, 1024])(
    'of every length up to 300 fit reports of %d bytes',
    (reportBytes) => {
      const reassembler = new HidReassembler({ maxMessageBytes });
      for (let length = 0; length <= 300; length++) {
        const message = Uint8Array.from({ length }, (_, index) => index * 7);
        const reports = encodeHidReports(message, { reportBytes });
        expect(reports).toHaveLength(hidReportCount(length, reportBytes));
        expect(messagesOf(reports, reassembler)).toEqual([hex(message)]);
      }
    },
  );

  test('of which some reports are lost, repeated or swapped are missing, never wrong', () => {
    const fault = fc.record({ what: fc.constantFrom('lose', 'repeat', 'swap'), at: fc.nat() });
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(8, 16, 64),
        anyCounter,
        fc.array(fault, { minLength: 1, maxLength: 5 }),
        (messages, reportBytes, counter, faults) => {
          const reports = stream(messages, reportBytes, counter);
          for (const { what, at } of faults) {
            const index = at % Math.max(1, reports.length);
            const [report] = reports.slice(index, index + 1);
            if (!report) continue;
            if (what === 'lose') reports.splice(index, 1);
            else if (what === 'repeat') reports.splice(index, 0, report);
            else reports.splice(index, 2, ...reports.slice(index, index + 2).toReversed());
          }
          const sent = messages.map(hex);
          for (const received of messagesOf(reports)) expect(sent).toContain(received);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('after a lost run of reports of any length are whole again from the next first report on', () => {
    const before = Uint8Array.from({ length: 100 }, (_, index) => index);
    const many = Array.from({ length: 80 }, (_, index) => new Uint8Array(100).fill(index));
    const last = new Uint8Array(50).fill(0xee);
    const reports = stream([before, ...many, last], 16, 3);
    // Also a run of exactly 256, which the counter cannot see: then the CRC does.
    for (const lost of [1, 2, 7, 8, 9, 255, 256, 257, 512]) {
      for (let start = 1; start < 20; start++) {
        const received = messagesOf([...reports.slice(0, start), ...reports.slice(start + lost)]);
        expect(received.at(-1), `${lost} from ${start}`).toBe(hex(last));
        expect(isSubsequence(received, [before, ...many, last].map(hex)), `${lost} from ${start}`).toBe(true);
      }
    }
  });

  test('that are too large are refused on both sides, and nothing is kept for them', () => {
    expect(() => encodeHidReports(new Uint8Array(0xffff - 1), { reportBytes: 64 })).toThrow(
      /too-large|does not fit/,
    );
    const reassembler = new HidReassembler({ maxMessageBytes: 100 });
    const reports = encodeHidReports(new Uint8Array(101), { reportBytes: 64 });
    expect(reports.map((report) => reassembler.push(report))).toEqual([
      [{ kind: 'damaged', reason: 'message of 101 bytes' }],
      [],
    ]);
    expect(messagesOf(encodeHidReports(new Uint8Array(100), { reportBytes: 64 }), reassembler)).toHaveLength(
      1,
    );
  });
});

describe('damaged reports', () => {
  const message = messageNamed('identity-response');
  const good = messageNamed('health-request');

  test('with any byte changed to any value never give another message, nor hurt the next', () => {
    const reports = encodeHidReports(message, { reportBytes: 64 });
    const next = encodeHidReports(good, { reportBytes: 64, counter: reports.length });
    for (const [index, report] of reports.entries()) {
      for (let at = 0; at < report.length; at++) {
        for (const flip of [0x01, 0x80, 0xff, 0x03]) {
          const damaged = Uint8Array.from(report, (byte, place) => (place === at ? byte ^ flip : byte));
          const received = messagesOf([...reports.with(index, damaged), ...next]);
          expect(received.at(-1)).toBe(hex(good));
          expect([0, 1]).toContain(received.length - 1);
          if (received.length === 2) expect(received[0]).toBe(hex(message)); // it was in the padding
        }
      }
    }
  });

  test('that are cut short at any byte never give another message, nor hurt the next', () => {
    const reports = encodeHidReports(message, { reportBytes: 64 });
    const next = encodeHidReports(good, { reportBytes: 64, counter: reports.length });
    for (const [index, report] of reports.entries()) {
      for (let length = 0; length < report.length; length++) {
        const received = messagesOf([...reports.with(index, report.subarray(0, length)), ...next]);
        expect(received.at(-1)).toBe(hex(good));
        for (const each of received.slice(0, -1)) expect(each).toBe(hex(message));
      }
    }
  });

  test('of any bytes whatever are taken without throwing and without keeping more than one message', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 50 }), (reports) => {
        const reassembler = new HidReassembler({ maxMessageBytes: 64 });
        for (const report of reports) {
          for (const item of reassembler.push(report)) {
            if (item.kind === 'message') expect(item.bytes.length).toBeLessThanOrEqual(64);
          }
        }
        expect(messagesOf(encodeHidReports(Uint8Array.of(1, 2), { reportBytes: 8 }), reassembler)).toEqual([
          '0102',
        ]);
      }),
    );
  });

  test('of reserved kinds, of the maker and of zeros disturb nothing', () => {
    const [first, second] = encodeHidReports(message, { reportBytes: 64 });
    if (!first || !second) throw new Error('two reports expected');
    for (let kind = 0; kind < 256; kind++) {
      if (kind === hidReportKind.first || kind === hidReportKind.further) continue;
      const other = new Uint8Array(64);
      other[0] = kind;
      expect(messagesOf([other, first, other, second, other])).toEqual([hex(message)]);
    }
  });
});

describe('a report descriptor', () => {
  const keyboard = annotatedHex(`
    05 01 09 06 a1 01 ; generic desktop, keyboard
    05 07 19 e0 29 e7 15 00 25 01 75 01 95 08 81 02 ; modifiers
    95 01 75 08 81 01 95 05 75 01 05 08 19 01 29 05 91 02 95 01 75 03 91 01 ; lamps
    95 06 75 08 15 00 25 65 05 07 19 00 29 65 81 00 c0`);

  test('of a boot keyboard says so', () => {
    expect(parseReportDescriptor(keyboard)).toEqual({
      inputBytes: 8,
      outputBytes: 1,
      hasReportIds: false,
      applications: [{ usagePage: 1, usage: 6 }],
    });
  });

  test('shows a keyboard hidden behind a camera, however it is written', () => {
    const camera = smpReportDescriptor(64);
    const hidden = { usagePage: 1, usage: 6 };
    expect(parseReportDescriptor(Buffer.concat([camera, keyboard])).applications).toContainEqual(hidden);
    // Page and usage in one item of four bytes, inside the collection of the camera, after a long item.
    const extended = annotatedHex('fe 02 f0 aa bb 0b 06 00 01 00 a1 01 c0');
    const nested = Buffer.concat([camera.subarray(0, -1), extended, camera.subarray(-1)]);
    expect(parseReportDescriptor(nested).applications).toContainEqual(hidden);
    // Page restored by pop.
    const popped = annotatedHex('05 01 a4 06 40 ff b4 09 06 a1 01 c0');
    expect(parseReportDescriptor(popped).applications).toEqual([hidden]);
  });

  test('with report ids says so', () => {
    const withId = Buffer.concat([Uint8Array.of(0x85, 0x01), smpReportDescriptor(64)]);
    expect(parseReportDescriptor(withId).hasReportIds).toBe(true);
  });

  test('that is cut short, endless or random is malformed at worst', () => {
    for (let length = 0; length < keyboard.length; length++) {
      try {
        parseReportDescriptor(keyboard.subarray(0, length));
      } catch (error) {
        expect(error).toMatchObject({ code: 'wire.malformed' });
      }
    }
    const huge = annotatedHex('77 ff ff ff ff 97 ff ff ff ff 81 02');
    expect(() => parseReportDescriptor(huge)).toThrow('a report without end');
    expect(() => parseReportDescriptor(new Uint8Array(5000))).toThrow('5000 bytes');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          const { inputBytes, outputBytes } = parseReportDescriptor(bytes);
          expect(Math.max(inputBytes, outputBytes)).toBeLessThanOrEqual(16_384);
        } catch (error) {
          expect(error).toMatchObject({ code: 'wire.malformed' });
        }
      }),
      { numRuns: 1000 },
    );
  });
});
