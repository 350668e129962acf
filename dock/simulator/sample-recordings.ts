import { pcmAccessUnit, pcmDecoderConfiguration, type PcmVideoFormat, type YuvPicture } from './h264-pcm.ts';

/**
 * Real MP4 files for the simulated camera, made without an encoder or any program outside: what a player shows
 * is a drifting pattern, a bouncing square and the number of the frame. Equal options give equal bytes.
 */
export interface SampleRecordingOptions {
  /** Any integer; its low 32 bits choose the colours, the movement and the grain. */
  readonly seed: number;
  /** The file takes as many frames as fit, at least one (about 20 kB); up to 256 MiB. */
  readonly sizeBytes: number;
  /** UTC milliseconds; the file keeps whole seconds, and none outside 1904 to 2040. */
  readonly startedAt: number;
}

export interface SampleRecording {
  readonly bytes: Uint8Array;
  readonly durationMs: number;
}

/** The picture of every sample recording. */
export const sampleVideoFormat = {
  widthPx: 128,
  heightPx: 96,
  framesPerSecond: 10,
} as const satisfies PcmVideoFormat;

const maximumSizeBytes = 2 ** 28;
/** Every box but the samples and their two tables: under 700 bytes with mediabunny 1.61. */
const containerBytes = 1024;
/** One entry in stsz and, when the chunks are short, one in stco. */
const tableBytesPerFrame = 8;

/** RangeError for a size or seed that is out of range. */
export async function makeSampleRecording(options: SampleRecordingOptions): Promise<SampleRecording> {
  const { seed, sizeBytes, startedAt } = options;
  if (!Number.isSafeInteger(seed)) throw new RangeError(`seed ${seed} is not an integer`);
  if (!(sizeBytes >= 0 && sizeBytes <= maximumSizeBytes)) {
    throw new RangeError(`${sizeBytes} bytes are not 0 to ${maximumSizeBytes}`);
  }
  // 12 MB of package: only a camera that has recordings to invent pays for it.
  const { BufferTarget, EncodedPacket, EncodedVideoPacketSource, Mp4OutputFormat, Output } =
    await import('mediabunny');

  const target = new BufferTarget();
  // moov behind mdat, as a camera writes it that does not know when it will be stopped.
  const output = new Output({ format: new Mp4OutputFormat({ fastStart: false }), target });
  const track = new EncodedVideoPacketSource('avc');
  const { widthPx, heightPx, framesPerSecond } = sampleVideoFormat;
  output.addVideoTrack(track, { frameRate: framesPerSecond });
  await output.start();

  const meta = {
    decoderConfig: {
      ...pcmDecoderConfiguration(sampleVideoFormat),
      codedWidth: widthPx,
      codedHeight: heightPx,
    },
  };
  const scene = new Scene(seed);
  let frames = 0;
  let roomBytes = sizeBytes - containerBytes;
  for (;;) {
    const sample = pcmAccessUnit(sampleVideoFormat, scene.draw(frames), frames);
    roomBytes -= sample.length + tableBytesPerFrame;
    if (frames > 0 && roomBytes < 0) break;
    await track.add(new EncodedPacket(sample, 'key', frames / framesPerSecond, 1 / framesPerSecond), meta);
    frames += 1;
  }
  await output.finalize();
  if (target.buffer === null) throw new Error('mediabunny finished a file without bytes');
  const bytes = new Uint8Array(target.buffer);
  stampCreationTimes(bytes, startedAt);
  return { bytes, durationMs: (frames * 1000) / framesPerSecond };
}

/**
 * mediabunny writes the time of the host's clock into mvhd, tkhd and mdhd (ISO/IEC 14496-12, 8.2.2, 8.3.2,
 * 8.4.2) and takes no other; the simulated camera started its recording at another time.
 */
function stampCreationTimes(bytes: Uint8Array, startedAt: number): void {
  const secondsFrom1904To1970 = 2_082_844_800;
  const seconds = Math.floor(startedAt / 1000) + secondsFrom1904To1970;
  // 0 is what readers take as "not known".
  const stamp = seconds >= 0 && seconds < 2 ** 32 ? seconds : 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const visit = (start: number, end: number): void => {
    for (let box = start; box < end;) {
      const size32 = view.getUint32(box);
      const size = size32 === 1 ? Number(view.getBigUint64(box + 8)) : size32;
      if (size < 8 || size > end - box) throw new Error(`an MP4 box of ${size} bytes at ${box}`);
      const type = Buffer.from(bytes.buffer, bytes.byteOffset + box + 4, 4).toString('latin1');
      if (type === 'moov' || type === 'trak' || type === 'mdia') visit(box + 8, box + size);
      if (type === 'mvhd' || type === 'tkhd' || type === 'mdhd') {
        // Version 1 has 64-bit times: mediabunny writes it once the host's clock has passed 2040.
        const isLong = view.getUint8(box + 8) === 1;
        for (const field of [0, 1]) {
          if (isLong) view.setBigUint64(box + 12 + 8 * field, BigInt(stamp));
          else view.setUint32(box + 12 + 4 * field, stamp);
        }
      }
      box += size;
    }
  };
  visit(0, bytes.length);
}

/** Three by five blocks each, line by line. */
const digitShapes = [
  '111101101101111',
  '010110010010111',
  '111001111100111',
  '111001111001111',
  '101101111001001',
  '111100111001111',
  '111100111101111',
  '111001010010010',
  '111101111101111',
  '111101111001111',
];

/** The strip with the frame's number: seven blocks of 4 pixels. */
const plateHeightPx = 28;

/** Samples stay within the video range, 16 to 235 and 240, and so never need emulation prevention. */
class Scene {
  readonly #random: () => number;
  readonly #stripePx: number;
  readonly #driftPx: number;
  readonly #background: Chroma;
  readonly #square: { readonly colour: Chroma; readonly startPx: Point; readonly stepPx: Point };

  constructor(seed: number) {
    this.#random = mulberry32(seed);
    const between = (from: number, to: number): number => from + (this.#random() % (to - from + 1));
    this.#stripePx = between(6, 14);
    this.#driftPx = between(1, 3) * (between(0, 1) === 0 ? -1 : 1);
    this.#background = { cb: between(96, 160), cr: between(96, 160) };
    this.#square = {
      colour: { cb: between(0, 1) === 0 ? 48 : 208, cr: between(0, 1) === 0 ? 48 : 208 },
      startPx: { x: between(0, 127), y: between(0, 67) },
      stepPx: { x: between(2, 5), y: between(2, 5) },
    };
  }

  draw(frame: number): YuvPicture {
    const { widthPx, heightPx } = sampleVideoFormat;
    const luma = new Uint8Array(widthPx * heightPx);
    const cb = new Uint8Array(luma.length / 4).fill(this.#background.cb);
    const cr = new Uint8Array(luma.length / 4).fill(this.#background.cr);
    this.#drawStripes(luma, frame);

    const { colour, startPx, stepPx } = this.#square;
    const sizePx = 24;
    const square = {
      left: bounce(startPx.x + stepPx.x * frame, widthPx - sizePx) & ~1,
      top: bounce(startPx.y + stepPx.y * frame, heightPx - plateHeightPx - sizePx) & ~1,
      widthPx: sizePx,
      heightPx: sizePx,
    };
    fill(luma, widthPx, square, 190);
    fill(cb, widthPx / 2, halved(square), colour.cb);
    fill(cr, widthPx / 2, halved(square), colour.cr);

    const plate = { left: 0, top: heightPx - plateHeightPx, widthPx, heightPx: plateHeightPx };
    fill(luma, widthPx, plate, 16);
    fill(cb, widthPx / 2, halved(plate), 128);
    fill(cr, widthPx / 2, halved(plate), 128);
    drawNumber(luma, frame, plate);
    return { luma, cb, cr };
  }

  /** Slanted stripes that drift, with the grain of a small sensor. */
  #drawStripes(luma: Uint8Array, frame: number): void {
    const { widthPx } = sampleVideoFormat;
    const period = 2 * this.#stripePx;
    const shift = (((frame * this.#driftPx) % period) + period) % period;
    let noise = 0;
    for (let position = 0; position < luma.length; position += 1) {
      if ((position & 7) === 0) noise = this.#random();
      const x = position % widthPx;
      const y = (position - x) / widthPx;
      const isLight = (x + (y >> 1) + shift) % period < this.#stripePx;
      luma[position] = (isLight ? 112 : 72) + (y >> 1) + ((noise >>> ((position & 7) * 4)) & 15);
    }
  }
}

interface Chroma {
  readonly cb: number;
  readonly cr: number;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly widthPx: number;
  readonly heightPx: number;
}

/** The lowest six digits of `value`, white in blocks of 4 x 4. */
function drawNumber(luma: Uint8Array, value: number, plate: Rectangle): void {
  const blockPx = 4;
  const digits = String(value % 1_000_000).padStart(6, '0');
  for (const [place, digit] of digits.split('').entries()) {
    for (const [block, bit] of (digitShapes[Number(digit)] ?? '').split('').entries()) {
      if (bit === '0') continue;
      const left = plate.left + (1 + 4 * place + (block % 3)) * blockPx;
      const top = plate.top + (1 + Math.floor(block / 3)) * blockPx;
      fill(luma, sampleVideoFormat.widthPx, { left, top, widthPx: blockPx, heightPx: blockPx }, 235);
    }
  }
}

/** The same area in a chroma plane. */
function halved(area: Rectangle): Rectangle {
  return {
    left: area.left / 2,
    top: area.top / 2,
    widthPx: area.widthPx / 2,
    heightPx: area.heightPx / 2,
  };
}

function fill(plane: Uint8Array, strideBytes: number, area: Rectangle, value: number): void {
  for (let line = area.top; line < area.top + area.heightPx; line += 1) {
    plane.fill(value, line * strideBytes + area.left, line * strideBytes + area.left + area.widthPx);
  }
}

/** Walks 0 … `limit` … 0 as `distance` grows. */
function bounce(distance: number, limit: number): number {
  const phase = distance % (2 * limit);
  return phase <= limit ? phase : 2 * limit - phase;
}

/** Mulberry32: enough randomness for grain, and the same on every machine. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}
