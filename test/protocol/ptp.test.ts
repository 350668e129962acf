// PTP containers arrive in whatever pieces the bus makes of them, and datasets from firmware that cannot be trusted:
// the stream must come out the same for every cutting, and damage must be an error with a place, never a crash.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DockError } from '../../protocol/errors.ts';
import {
  ContainerStream,
  encodeCommand,
  encodeData,
  type ContainerPart,
} from '../../protocol/ptp/container.ts';
import {
  decodeDeviceInfo,
  decodeDevicePropDesc,
  decodeObjectInfo,
  decodeStorageInfo,
  encodePtpString,
} from '../../protocol/ptp/datasets.ts';
import { formatPtpDate, instantOf, parsePtpDate } from '../../protocol/ptp/datetime.ts';
import { noQuirks, quirksFor } from '../../protocol/ptp/quirks.ts';
import { annotatedHex } from './annotated-hex.ts';

const openSession = annotatedHex(`
  10 00 00 00   ; length 16
  01 00         ; command
  02 10         ; OpenSession
  00 00 00 00   ; transaction 0
  01 00 00 00   ; session 1
`);

const dataThenResponse = annotatedHex(`
  11 00 00 00  02 00  09 10  05 00 00 00   ; data, GetObject, transaction 5
  68 65 6c 6c 6f                           ; "hello"
  10 00 00 00  03 00  01 20  05 00 00 00   ; response, OK
  05 00 00 00                              ; parameter: 5 bytes
`);

const objectInfo = annotatedHex(`
  01 00 01 00   ; storage
  00 30         ; format: undefined
  01 00         ; protected
  ff ff ff ff   ; 4 GiB or more
  00 00  00 00 00 00  00 00 00 00  00 00 00 00   ; thumbnail
  00 00 00 00  00 00 00 00  00 00 00 00          ; image
  07 00 00 00   ; parent
  00 00  00 00 00 00  00 00 00 00                ; association, sequence
  06 41 00 2e 00 4d 00 50 00 34 00 00 00         ; "A.MP4"
  00                                             ; no capture date
  10 32 00 30 00 32 00 36 00 31 00 31 00 32 00 32 00 54 00
     31 00 38 00 33 00 30 00 30 00 35 00 00 00   ; "20261122T183005"
  00
`);

const deviceInfo = annotatedHex(`
  64 00  06 00 00 00  64 00               ; standard 1.00, Microsoft, 1.00
  03 61 00 3a 00 00 00                    ; "a:"
  00 00
  02 00 00 00  01 10  c1 95               ; GetDeviceInfo, GetPartialObject64
  01 00 00 00  02 40                      ; ObjectAdded
  01 00 00 00  11 50                      ; DateTime
  00 00 00 00  00 00 00 00
  02 4d 00 00 00  02 42 00 00 00  02 31 00 00 00  03 53 00 31 00 00 00   ; "M", "B", "1", "S1"
`);

function readAll(bytes: Uint8Array, cuts: readonly number[], maxPacketBytes = 512): ContainerPart[] {
  const stream = new ContainerStream(maxPacketBytes);
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).flatMap((end, index) => {
    const chunk = bytes.subarray(places[index], end);
    return chunk.length === 0 ? [] : stream.push(chunk);
  });
}

function payload(parts: readonly ContainerPart[]): string {
  return Buffer.concat(parts.flatMap((part) => (part.kind === 'data' ? [part.bytes] : []))).toString(
    'latin1',
  );
}

function outcome(work: () => unknown): unknown {
  try {
    work();
    return 'read';
  } catch (error) {
    return error instanceof DockError ? error.code : error;
  }
}

describe('containers', () => {
  test('a command is header and parameters, little-endian', () => {
    expect(encodeCommand(0x1002, 0, [1])).toEqual(openSession);
    expect(encodeData(0x1016, 7, Uint8Array.of(9))).toEqual(annotatedHex('0d000000 0200 1610 07000000 09'));
  });

  test('data and response come out the same however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 20 }), (cuts) => {
        const parts = readAll(dataThenResponse, cuts);
        expect(payload(parts)).toBe('hello');
        expect(parts.findLast(({ kind }) => kind !== 'data')).toMatchObject({
          kind: 'response',
          header: { code: 0x2001, transactionId: 5 },
          parameters: [5],
        });
        expect(parts.filter(({ kind }) => kind === 'data-end')).toMatchObject([{ sizeBytes: 5 }]);
      }),
    );
  });

  test('a container of unknown length ends with the first short packet, also an empty one', () => {
    const head = annotatedHex('ffffffff 0200 0910 05000000');
    for (const last of [Uint8Array.of(1, 2, 3), new Uint8Array(0)]) {
      const stream = new ContainerStream(16);
      const parts = [
        ...stream.push(Buffer.concat([head, new Uint8Array(4)])),
        ...stream.push(new Uint8Array(32)),
        ...stream.push(last),
      ];
      expect(parts.at(-1)).toMatchObject({ kind: 'data-end', sizeBytes: 36 + last.length });
      expect(stream.push(dataThenResponse.subarray(17))).toMatchObject([{ kind: 'response' }]);
    }
  });

  test.each([
    ['unknown', 'ffffffff'],
    ['modulo 2^32, as old umtprd sends it', '0c000040'],
  ])('the true length of 5 GiB counts where the header says %s', (_name, length) => {
    const stream = new ContainerStream(512);
    stream.expectData(5 * 2 ** 30);
    stream.push(annotatedHex(`${length} 0200 0910 05000000`), false);
    expect(stream.remainingBytes).toBe(5 * 2 ** 30);
    stream.push(new Uint8Array(512 * 1024));
    expect(stream.remainingBytes).toBe(5 * 2 ** 30 - 512 * 1024);
  });

  test('a true length that the header contradicts does not count', () => {
    const stream = new ContainerStream(512);
    stream.expectData(5 * 2 ** 30);
    stream.push(annotatedHex('00010000 0200 0910 05000000'), false);
    expect(stream.remainingBytes).toBe(0x100 - 12);
  });

  test.each([1, 0])('%i bytes after data that fills its last packet are passed over', (extraBytes) => {
    const stream = new ContainerStream(16);
    const data = annotatedHex('10000000 0200 0910 05000000 01020304');
    const response = dataThenResponse.subarray(17);
    expect(stream.push(Buffer.concat([data, new Uint8Array(extraBytes)]))).toHaveLength(2);
    expect(stream.push(response)).toMatchObject([{ kind: 'response' }]);
  });

  test('zeros in a short packet where nothing is due are passed over', () => {
    const stream = new ContainerStream(512);
    expect(stream.push(new Uint8Array(4))).toEqual([]);
    expect(stream.push(dataThenResponse.subarray(17))).toMatchObject([{ kind: 'response' }]);
  });

  test('a header that comes alone is remembered', () => {
    const stream = new ContainerStream(512);
    stream.push(dataThenResponse.subarray(0, 12));
    expect(stream.hasSplitHeader).toBe(true);
    expect(payload(stream.push(dataThenResponse.subarray(12)))).toBe('hello');
  });

  test('a zero-length packet after aligned data is passed over, but not without end', () => {
    const stream = new ContainerStream(512);
    expect(stream.push(new Uint8Array(0))).toEqual([]);
    expect(outcome(() => Array.from({ length: 10 }, () => stream.push(new Uint8Array(0))))).toBe(
      'wire.malformed',
    );
  });

  test('an impossible header is an error, not a length to wait for', () => {
    for (const hex of [
      '0b000000 0300 0120 05000000',
      '00100000 0300 0120 05000000',
      '10000000 0900 0120 05000000',
    ]) {
      expect(outcome(() => new ContainerStream(512).push(annotatedHex(hex)))).toBe('wire.malformed');
    }
  });

  test('any bytes are parts or an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat()), (bytes, cuts) => {
        expect(['read', 'wire.malformed']).toContain(outcome(() => readAll(bytes, cuts)));
      }),
    );
  });
});

describe('datasets', () => {
  test('an object of 4 GiB or more has no size of its own', () => {
    expect(decodeObjectInfo(objectInfo)).toEqual({
      storageId: 0x10001,
      format: 0x3000,
      isFolder: false,
      isProtected: true,
      sizeBytes: undefined,
      parent: 7,
      name: 'A.MP4',
      capturedAt: '',
      modifiedAt: '20261122T183005',
    });
  });

  test('a 64-bit size in the middle, as some Samsung devices send it, is recognised', () => {
    const shifted = Buffer.concat([
      objectInfo.subarray(0, 8),
      annotatedHex('01000000 02000000'),
      objectInfo.subarray(12),
    ]);
    expect(decodeObjectInfo(shifted)).toMatchObject({ sizeBytes: 2 * 2 ** 32 + 1, name: 'A.MP4' });
  });

  test('device information names operations and the serial number', () => {
    const info = decodeDeviceInfo(deviceInfo);
    expect([...info.operations]).toEqual([0x1001, 0x95c1]);
    expect(info).toMatchObject({
      extensionDescription: 'a:',
      manufacturer: 'M',
      model: 'B',
      serialNumber: 'S1',
    });
  });

  test('device information that ends before the serial number is read as far as it goes', () => {
    expect(decodeDeviceInfo(deviceInfo.subarray(0, -7))).toMatchObject({ version: '1', serialNumber: '' });
  });

  test('a property shows its range, so that nonsense can be told', () => {
    const battery = annotatedHex('0150 0200 00 64 64 01 00 64 01');
    expect(decodeDevicePropDesc(battery)).toEqual({
      property: 0x5001,
      type: 2,
      isWritable: false,
      current: 100,
      range: { min: 0, max: 100 },
    });
  });

  test('an array longer than the dataset is refused before anything is allocated', () => {
    const bytes = Uint8Array.from(deviceInfo);
    bytes.set([0xff, 0xff, 0xff, 0xff], 17);
    // Not the end of the dataset at the first item: by then there would be place for four billion.
    expect(() => decodeDeviceInfo(bytes)).toThrow(/4294967295 items in/);
  });

  test.each([
    ['object information', objectInfo, decodeObjectInfo],
    ['device information', deviceInfo, decodeDeviceInfo],
    ['storage information', new Uint8Array(27), decodeStorageInfo],
    ['a property', annotatedHex('0150 0200 00 64 64 01 00 64 01'), decodeDevicePropDesc],
  ])('every truncation and byte flip of %s is a value or an error', (_name, bytes, decode) => {
    for (let length = 0; length < bytes.length; length++) {
      expect(['read', 'wire.malformed']).toContain(outcome(() => decode(bytes.subarray(0, length))));
    }
    for (let index = 0; index < bytes.length; index++) {
      for (let flip = 1; flip < 256; flip++) {
        const copy = Uint8Array.from(bytes);
        copy[index] = (copy[index] ?? 0) ^ flip;
        expect(['read', 'wire.malformed']).toContain(outcome(() => decode(copy)));
      }
    }
  });

  test('a string carries its terminating zero', () => {
    expect(encodePtpString('A')).toEqual(annotatedHex('02 4100 0000'));
    expect(encodePtpString('')).toEqual(Uint8Array.of(0));
    expect(outcome(() => encodePtpString('x'.repeat(255)))).toBe('wire.too-large');
  });
});

describe('dates', () => {
  test('digits without a zone mean the zone assumed for the camera', () => {
    const date = parsePtpDate('20261122T183005');
    expect(date && new Date(instantOf(date, 300)).toISOString()).toBe('2026-11-22T13:30:05.000Z');
  });

  test('a stated zone wins', () => {
    const date = parsePtpDate('20261122T183005.5+0600');
    expect(date && new Date(instantOf(date, 300)).toISOString()).toBe('2026-11-22T12:30:05.500Z');
  });

  test('a date is written back in the shape it was read', () => {
    for (const like of ['20200101T000000', '20200101T000000.0', '20200101T000000Z', '20200101T000000-0330']) {
      const at = Date.UTC(2026, 10, 22, 13, 30, 5);
      const written = formatPtpDate(at, like, 300);
      const read = parsePtpDate(written);
      expect(read && instantOf(read, 300)).toBe(at);
      expect(written.length).toBe(like.length);
    }
  });

  test.each(['', '00000000T000000', '20261322T183005', '2026-11-22', '20261122T18300'])(
    '%j is no date',
    (text) => {
      expect(parsePtpDate(text)).toBeUndefined();
    },
  );
});

describe('quirks', () => {
  const device = { vendorId: 1, productId: 2, extensionDescription: '', manufacturer: '', model: '' };

  test('a device that nothing is known of has none', () => {
    expect(quirksFor(device)).toEqual(noQuirks);
  });

  test('all matching rules apply together', () => {
    const samsung = {
      ...device,
      vendorId: 0x04e8,
      extensionDescription: 'microsoft.com: 1.0; android.com: 1.0;',
    };
    expect(quirksFor(samsung)).toEqual({ ...noQuirks, avoidAlignedTail: true, longTimeout: true });
  });
});
