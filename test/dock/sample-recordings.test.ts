/**
 * The simulated camera hands out real recordings. If these files were not playable, every demonstration of the
 * dock would end in a vault full of files that nobody can open; if they were not the same for the same seed, no
 * failed simulation could be repeated.
 */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BufferSource, EncodedPacketSink, Input, MP4 } from 'mediabunny';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { nalUnit, pcmAccessUnit, pcmDecoderConfiguration } from '../../dock/simulator/h264-pcm.ts';
import { makeSampleRecording, sampleVideoFormat } from '../../dock/simulator/sample-recordings.ts';

const startedAt = Date.UTC(2026, 4, 6, 7, 8, 9);
/** 48 macroblocks of 384 samples and 2 bytes of head, and the slice around them. */
const frameBytes = 48 * 386 + 16;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The font of the burnt-in number, three by five blocks, line by line. */
const shapes = new Map([
  ['111101101101111', '0'],
  ['010110010010111', '1'],
  ['111001111100111', '2'],
  ['111001111001111', '3'],
  ['101101111001001', '4'],
  ['111100111001111', '5'],
  ['111100111101111', '6'],
  ['111001010010010', '7'],
  ['111101111101111', '8'],
  ['111101111001111', '9'],
]);

/** Luma of one pixel of an I_PCM sample: length, NAL header, then 386 bytes to a macroblock from byte 7 on. */
function lumaAt(sample: Uint8Array, x: number, y: number): number | undefined {
  const macroblock = (y >> 4) * 8 + (x >> 4);
  // The slice header and the first mb_type fill 4 bytes; later macroblocks begin with the 2 bytes of mb_type.
  return sample[4 + 1 + 4 + macroblock * 386 + (y & 15) * 16 + (x & 15)];
}

function burntInNumber(sample: Uint8Array): string {
  const digit = (place: number): string => {
    const blocks = Array.from({ length: 15 }, (_, block) => {
      const x = (1 + 4 * place + (block % 3)) * 4 + 2;
      const y = 68 + (1 + Math.floor(block / 3)) * 4 + 2;
      return lumaAt(sample, x, y) === 235 ? '1' : '0';
    });
    return shapes.get(blocks.join('')) ?? '?';
  };
  return [0, 1, 2, 3, 4, 5].map(digit).join('');
}

async function readBack(bytes: Uint8Array): Promise<{
  tracks: number;
  codec: string | null;
  codecString: string | null;
  description: string;
  width: number;
  height: number;
  durationS: number;
  samples: Uint8Array[];
  allKeys: boolean;
}> {
  using input = new Input({ source: new BufferSource(bytes), formats: [MP4] });
  const tracks = await input.getTracks();
  const track = await input.getPrimaryVideoTrack();
  if (track === null) throw new Error('no video track');
  const config = await track.getDecoderConfig();
  const description: unknown = config?.description;
  const samples: Uint8Array[] = [];
  let allKeys = true;
  for await (const packet of new EncodedPacketSink(track).packets()) {
    samples.push(packet.data);
    allKeys &&= packet.type === 'key';
  }
  return {
    tracks: tracks.length,
    codec: await track.getCodec(),
    codecString: await track.getCodecParameterString(),
    description: description instanceof Uint8Array ? hex(description) : 'absent',
    width: await track.getCodedWidth(),
    height: await track.getCodedHeight(),
    durationS: await input.computeDuration(),
    samples,
    allKeys,
  };
}

describe('a sample recording', () => {
  test('is an MP4 with one AVC track of the announced size, length and number of frames', async () => {
    const { bytes, durationMs } = await makeSampleRecording({ seed: 7, sizeBytes: 500_000, startedAt });
    const read = await readBack(bytes);
    expect(read).toMatchObject({
      tracks: 1,
      codec: 'avc',
      codecString: 'avc1.42c015',
      description: hex(pcmDecoderConfiguration(sampleVideoFormat).description),
      width: 128,
      height: 96,
      allKeys: true,
    });
    expect(read.samples).toHaveLength(durationMs / 100);
    expect(read.durationS * 1000).toBeCloseTo(durationMs, 3);
  });

  test('shows the number of each frame in its picture', async () => {
    const { bytes } = await makeSampleRecording({ seed: 7, sizeBytes: 500_000, startedAt });
    const { samples } = await readBack(bytes);
    expect(samples.map(burntInNumber)).toEqual(samples.map((_, index) => String(index).padStart(6, '0')));
    expect(samples.length).toBeGreaterThan(20);
  });

  test.each([100_000, 1_000_000, 2_000_000, 8_000_000])(
    'of %d bytes takes as many frames as fit',
    async (sizeBytes) => {
      const { bytes } = await makeSampleRecording({ seed: 1, sizeBytes, startedAt });
      expect(bytes.length).toBeLessThanOrEqual(sizeBytes);
      // The tables are estimated: up to 8 bytes a frame may stay unused.
      const unusedBytes = frameBytes + 1024 + (8 * sizeBytes) / frameBytes;
      expect(bytes.length).toBeGreaterThan(sizeBytes - unusedBytes);
    },
  );

  test('has one frame even where none fits', async () => {
    const { bytes, durationMs } = await makeSampleRecording({ seed: 1, sizeBytes: 0, startedAt });
    expect(durationMs).toBe(100);
    expect((await readBack(bytes)).samples).toHaveLength(1);
  });

  test.each([{ sizeBytes: -1 }, { sizeBytes: Number.NaN }, { sizeBytes: 2 ** 28 + 1 }, { seed: 0.5 }])(
    'is refused for $sizeBytes bytes and seed $seed',
    async (wrong) => {
      const options = { seed: 1, sizeBytes: 0, startedAt, ...wrong };
      await expect(makeSampleRecording(options)).rejects.toThrow(RangeError);
    },
  );
});

describe('equal options', () => {
  afterEach(() => vi.useRealTimers());

  test('give equal bytes, whatever the clock of the host says', async () => {
    const options = { seed: 42, sizeBytes: 200_000, startedAt };
    const first = await makeSampleRecording(options);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2031, 0, 1) });
    const second = await makeSampleRecording(options);
    expect(sha256(second.bytes)).toBe(sha256(first.bytes));
  });

  test('but another seed give other bytes in every frame', async () => {
    const options = { sizeBytes: 200_000, startedAt };
    const one = await readBack((await makeSampleRecording({ ...options, seed: 1 })).bytes);
    const two = await readBack((await makeSampleRecording({ ...options, seed: 2 })).bytes);
    expect(new Set([...one.samples, ...two.samples].map(sha256)).size).toBe(
      one.samples.length + two.samples.length,
    );
  });
});

describe('the creation time', () => {
  /** ISO/IEC 14496-12: version and flags, then creation and modification in seconds since 1904. */
  const timesOf = (bytes: Uint8Array, type: string): number[] => {
    const buffer = Buffer.from(bytes);
    const body = buffer.lastIndexOf(type) + 4;
    return [buffer.readUInt32BE(body + 4), buffer.readUInt32BE(body + 8)];
  };

  test.each(['mvhd', 'tkhd', 'mdhd'])('in %s is when the recording started', async (type) => {
    const { bytes } = await makeSampleRecording({ seed: 1, sizeBytes: 0, startedAt });
    const seconds = (startedAt - Date.UTC(1904, 0, 1)) / 1000;
    expect(timesOf(bytes, type)).toEqual([seconds, seconds]);
  });

  test('is left out when 32 bits cannot hold it', async () => {
    const { bytes } = await makeSampleRecording({ seed: 1, sizeBytes: 0, startedAt: Date.UTC(2100, 0, 1) });
    expect(timesOf(bytes, 'mvhd')).toEqual([0, 0]);
  });
});

describe('the H.264 stream', () => {
  test('has the parameter sets of a constrained baseline stream, level 2.1', () => {
    expect(hex(pcmDecoderConfiguration(sampleVideoFormat).description)).toBe(
      [
        '01 42c015 ff', // configurationVersion, profile, constraints, level; NAL lengths of 4 bytes
        'e1 0013', // one SPS
        '67 42c015 da083684 000003 0004 000003 0052 10', // num_units_in_tick needs two 03
        '01 0004', // one PPS
        '68 ce3c80',
      ]
        .join('')
        .replaceAll(' ', ''),
    );
  });

  test.each([
    ['000000', '000003' + '00'],
    ['000001', '000003' + '01'],
    ['ff00000380', 'ff000003' + '0380'],
    ['00000480', '00000480'],
    ['0000000000', '000003' + '000003' + '00'],
    ['00ff0000ff000002', '00ff0000ff000003' + '02'],
  ])('prevents start codes: %s becomes %s', (payload, escaped) => {
    expect(hex(nalUnit(5, Buffer.from(payload, 'hex')))).toBe('65' + escaped);
  });

  test('stays free of start codes for black pictures out of the video range', () => {
    const { widthPx, heightPx } = sampleVideoFormat;
    const black = {
      luma: new Uint8Array(widthPx * heightPx),
      cb: new Uint8Array((widthPx * heightPx) / 4),
      cr: new Uint8Array((widthPx * heightPx) / 4),
    };
    const sample = pcmAccessUnit(sampleVideoFormat, black, 0);
    expect(new DataView(sample.buffer).getUint32(0)).toBe(sample.length - 4);
    expect(hex(sample.subarray(4))).not.toMatch(/^(?:..)*00000[0-2]/);
  });

  test.each([
    { widthPx: 120, heightPx: 96, framesPerSecond: 10 },
    { widthPx: 160, heightPx: 128, framesPerSecond: 10 },
    { widthPx: 128, heightPx: 96, framesPerSecond: 25 },
  ])(
    'of $widthPx x $heightPx at $framesPerSecond is refused: the level does not allow it or blocks do not fit',
    (format) => {
      expect(() => pcmDecoderConfiguration(format)).toThrow(RangeError);
    },
  );
});

const hasFfprobe = spawnSync('ffprobe', ['-version']).error === undefined;

describe('a player that is not ours', () => {
  test.skipIf(!hasFfprobe)(
    'reads the file as we meant it (skipped where ffprobe is not on the PATH)',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'sample-recording-'));
      try {
        const file = join(folder, 'sample.mp4');
        const { bytes, durationMs } = await makeSampleRecording({ seed: 3, sizeBytes: 300_000, startedAt });
        await writeFile(file, bytes);
        const entries =
          'stream=codec_name,profile,level,width,height,pix_fmt,r_frame_rate,nb_read_frames:format=duration:format_tags=creation_time';
        const args = ['-v', 'error', '-err_detect', '+explode+aggressive', '-count_frames', '-of', 'json'];
        const { stdout, stderr } = await promisify(execFile)('ffprobe', [
          ...args,
          '-show_entries',
          entries,
          file,
        ]);
        expect(stderr).toBe('');
        expect(JSON.parse(stdout)).toMatchObject({
          streams: [
            {
              codec_name: 'h264',
              profile: 'Constrained Baseline',
              level: 21,
              width: 128,
              height: 96,
              pix_fmt: 'yuv420p',
              r_frame_rate: '10/1',
              nb_read_frames: String(durationMs / 100),
            },
          ],
          format: {
            duration: (durationMs / 1000).toFixed(6),
            tags: { creation_time: '2026-05-06T07:08:09.000000Z' },
          },
        });
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  );
});
