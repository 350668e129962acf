/**
 * The smallest H.264 encoder there is (ITU-T H.264, Constrained Baseline): every picture is an IDR picture of
 * one slice, every macroblock is I_PCM, so the stream carries the raw samples and any decoder gives back
 * exactly those. Sections in comments are of ITU-T H.264; the avcC record is ISO/IEC 14496-15 section 5.3.3.
 */

/** Whole macroblocks of 16 x 16, at most 57 of them and 20 whole pictures a second: the limits of level 2.1. */
export interface PcmVideoFormat {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly framesPerSecond: number;
}

/** Planar 4:2:0; the chroma planes have half the width and half the height. */
export interface YuvPicture {
  readonly luma: Uint8Array;
  readonly cb: Uint8Array;
  readonly cr: Uint8Array;
}

const profileIdc = 66;
const constraintFlags = 0xc0;
/**
 * Level 2.1, table A-1: 19800 macroblocks a second and MinCR 2 give a picture 384 * (19800 / 172) / 2 = 22102
 * bytes (A.3.1), which is 57 uncompressed macroblocks; 4 Mbit/s is 22 such pictures.
 */
const levelIdc = 21;
const maximumMacroblocks = 57;
const maximumFramesPerSecond = 20;
const macroblockPx = 16;
const macroblockSampleBytes = 384;
/** mb_type of I_PCM in an I slice, table 7-11. */
const mbTypePcm = 25;

const nalType = { idrSlice: 5, sequenceParameters: 7, pictureParameters: 8 } as const;

/** The codec string (RFC 6381) and the AVCDecoderConfigurationRecord of such a stream; NAL lengths take 4 bytes. */
export function pcmDecoderConfiguration(format: PcmVideoFormat): { codec: string; description: Uint8Array } {
  const sps = nalUnit(nalType.sequenceParameters, sequenceParameters(format));
  const pps = nalUnit(nalType.pictureParameters, pictureParameters());
  const profile = [profileIdc, constraintFlags, levelIdc];
  const description = Uint8Array.from([
    1,
    ...profile,
    255,
    225,
    sps.length >> 8,
    sps.length & 255,
    ...sps,
    1,
    pps.length >> 8,
    pps.length & 255,
    ...pps,
  ]);
  return { codec: `avc1.${Buffer.from(profile).toString('hex')}`, description };
}

/** One picture as an MP4 sample: one IDR slice behind its length. `index` counts the pictures of the stream. */
export function pcmAccessUnit(format: PcmVideoFormat, picture: YuvPicture, index: number): Uint8Array {
  const unit = nalUnit(nalType.idrSlice, idrSlice(format, picture, index));
  const sample = new Uint8Array(4 + unit.length);
  new DataView(sample.buffer).setUint32(0, unit.length);
  sample.set(unit, 4);
  return sample;
}

/** A NAL unit with emulation prevention (7.4.1): in the payload, 00 00 0x with x < 4 becomes 00 00 03 0x. */
export function nalUnit(type: number, payload: Uint8Array): Uint8Array {
  const nalReferenceIdc = 3;
  const header = (nalReferenceIdc << 5) | type;
  const firstPair = Buffer.from(payload.buffer, payload.byteOffset, payload.length).indexOf(
    '\0\0',
    0,
    'latin1',
  );
  const plainLength = firstPair < 0 ? payload.length : firstPair;
  const unit = new Uint8Array(1 + payload.length + Math.ceil((payload.length - plainLength) / 2));
  unit[0] = header;
  unit.set(payload.subarray(0, plainLength), 1);
  let end = 1 + plainLength;
  let zeros = 0;
  for (const byte of payload.subarray(plainLength)) {
    if (zeros === 2 && byte < 4) {
      unit[end++] = 3;
      zeros = 0;
    }
    unit[end++] = byte;
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return unit.subarray(0, end);
}

/** 7.3.2.1.1 and, for the frame rate, E.1.1. */
function sequenceParameters(format: PcmVideoFormat): Uint8Array {
  const { columns, rows } = macroblocksOf(format);
  const bits = new BitWriter();
  bits.fixed(8, profileIdc);
  bits.fixed(8, constraintFlags);
  bits.fixed(8, levelIdc);
  bits.unsigned(0); // seq_parameter_set_id
  bits.unsigned(0); // log2_max_frame_num_minus4
  bits.unsigned(2); // pic_order_cnt_type: output order is decoding order
  bits.unsigned(1); // max_num_ref_frames
  bits.fixed(1, 0); // gaps_in_frame_num_value_allowed_flag
  bits.unsigned(columns - 1);
  bits.unsigned(rows - 1);
  bits.fixed(1, 1); // frame_mbs_only_flag
  bits.fixed(1, 1); // direct_8x8_inference_flag
  bits.fixed(1, 0); // frame_cropping_flag
  bits.fixed(1, 1); // vui_parameters_present_flag
  bits.fixed(4, 0); // no aspect ratio, overscan, video signal type, chroma location
  bits.fixed(1, 1); // timing_info_present_flag
  bits.fixed(32, 1); // num_units_in_tick
  bits.fixed(32, 2 * format.framesPerSecond); // time_scale counts fields
  bits.fixed(1, 1); // fixed_frame_rate_flag
  bits.fixed(4, 0); // no NAL HRD, VCL HRD, pic_struct, bitstream restriction
  return bits.finish();
}

/** 7.3.2.2. */
function pictureParameters(): Uint8Array {
  const bits = new BitWriter();
  bits.unsigned(0); // pic_parameter_set_id
  bits.unsigned(0); // seq_parameter_set_id
  bits.fixed(1, 0); // entropy_coding_mode_flag: CAVLC
  bits.fixed(1, 0); // bottom_field_pic_order_in_frame_present_flag
  bits.unsigned(0); // num_slice_groups_minus1
  bits.unsigned(0); // num_ref_idx_l0_default_active_minus1
  bits.unsigned(0); // num_ref_idx_l1_default_active_minus1
  bits.fixed(3, 0); // weighted_pred_flag, weighted_bipred_idc
  bits.unsigned(0); // pic_init_qp_minus26; 0 is coded alike signed and unsigned
  bits.unsigned(0); // pic_init_qs_minus26
  bits.unsigned(0); // chroma_qp_index_offset
  bits.fixed(1, 1); // deblocking_filter_control_present_flag
  bits.fixed(1, 0); // constrained_intra_pred_flag
  bits.fixed(1, 0); // redundant_pic_cnt_present_flag
  return bits.finish();
}

/** 7.3.3, 7.3.4 and 7.3.5. */
function idrSlice(format: PcmVideoFormat, picture: YuvPicture, index: number): Uint8Array {
  const { columns, rows } = macroblocksOf(format);
  const bits = new BitWriter();
  bits.unsigned(0); // first_mb_in_slice
  bits.unsigned(7); // slice_type: all slices of the picture are I
  bits.unsigned(0); // pic_parameter_set_id
  bits.fixed(4, 0); // frame_num
  bits.unsigned(index % 2); // idr_pic_id: differs between neighbours, 7.4.3
  bits.fixed(2, 0); // no_output_of_prior_pics_flag, long_term_reference_flag
  bits.unsigned(0); // slice_qp_delta
  bits.unsigned(1); // disable_deblocking_filter_idc: the samples stay what they are
  const firstHead = pcmMacroblockHead(bits);
  const head = pcmMacroblockHead(new BitWriter());

  const count = columns * rows;
  const slice = new Uint8Array(
    firstHead.length + (count - 1) * head.length + count * macroblockSampleBytes + 1,
  );
  slice.set(firstHead);
  let end = firstHead.length;
  for (let macroblock = 0; macroblock < count; macroblock += 1) {
    if (macroblock > 0) {
      slice.set(head, end);
      end += head.length;
    }
    const at = { column: macroblock % columns, row: Math.floor(macroblock / columns) };
    end = copyBlock(slice, end, picture.luma, { ...at, sizePx: macroblockPx, strideBytes: format.widthPx });
    const chroma = { ...at, sizePx: macroblockPx / 2, strideBytes: format.widthPx / 2 };
    end = copyBlock(slice, end, picture.cb, chroma);
    end = copyBlock(slice, end, picture.cr, chroma);
  }
  slice[end] = 0x80; // rbsp_slice_trailing_bits on a byte boundary
  return slice;
}

function pcmMacroblockHead(bits: BitWriter): Uint8Array {
  bits.unsigned(mbTypePcm);
  return bits.aligned(); // pcm_alignment_zero_bit
}

interface Block {
  readonly column: number;
  readonly row: number;
  readonly sizePx: number;
  readonly strideBytes: number;
}

function copyBlock(target: Uint8Array, offset: number, plane: Uint8Array, block: Block): number {
  const { sizePx, strideBytes } = block;
  const corner = block.row * sizePx * strideBytes + block.column * sizePx;
  for (let line = 0; line < sizePx; line += 1) {
    const start = corner + line * strideBytes;
    target.set(plane.subarray(start, start + sizePx), offset + line * sizePx);
  }
  return offset + sizePx * sizePx;
}

/** Also the check of a format. */
function macroblocksOf(format: PcmVideoFormat): { columns: number; rows: number } {
  const columns = format.widthPx / macroblockPx;
  const rows = format.heightPx / macroblockPx;
  if (!Number.isInteger(columns) || !Number.isInteger(rows) || columns < 1 || rows < 1) {
    throw new RangeError(`${format.widthPx} x ${format.heightPx} is not made of 16 x 16 macroblocks`);
  }
  if (columns * rows > maximumMacroblocks) {
    throw new RangeError(`${columns * rows} macroblocks, level 2.1 takes ${maximumMacroblocks} uncompressed`);
  }
  const { framesPerSecond } = format;
  if (!Number.isInteger(framesPerSecond) || framesPerSecond < 1 || framesPerSecond > maximumFramesPerSecond) {
    throw new RangeError(`${framesPerSecond} pictures a second are not 1 to ${maximumFramesPerSecond}`);
  }
  return { columns, rows };
}

/** Most significant bit first, 7.2 and 9.1; for headers of a few dozen bytes. */
class BitWriter {
  readonly #bits: number[] = [];

  fixed(count: number, value: number): void {
    for (let bit = count - 1; bit >= 0; bit -= 1) this.#bits.push((value >>> bit) & 1);
  }

  /** ue(v), Exp-Golomb. */
  unsigned(value: number): void {
    const significantBits = 32 - Math.clz32(value + 1);
    this.fixed(significantBits - 1, 0);
    this.fixed(significantBits, value + 1);
  }

  aligned(): Uint8Array {
    const bytes = new Uint8Array(Math.ceil(this.#bits.length / 8));
    for (const [position, bit] of this.#bits.entries()) {
      const byte = position >> 3;
      bytes[byte] = (bytes[byte] ?? 0) | (bit << (7 - (position & 7)));
    }
    return bytes;
  }

  /** With rbsp_trailing_bits, 7.3.2.11. */
  finish(): Uint8Array {
    this.fixed(1, 1);
    return this.aligned();
  }
}
