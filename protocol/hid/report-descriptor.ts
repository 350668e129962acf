import { DockError } from '../errors.ts';

/** What a report descriptor says, as far as it concerns devices without report ids (HID 1.11, section 6.2.2). */
export interface ReportDescriptor {
  /** Bytes of an input report; 0 where there is none. Over all report ids, if it has those. */
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly hasReportIds: boolean;
  /** What the device says it is: page and usage of each application collection. */
  readonly applications: readonly { readonly usagePage: number; readonly usage: number }[];
}

/** The kernel takes no longer one. */
const mostDescriptorBytes = 4096;
const mostReportBits = 8 * 16_384;

/** Pages 0xFF00 to 0xFFFF belong to the makers of devices. */
export const firstVendorPage = 0xff00;

/** Our own page, and its usages: the device, what it sends, what it takes. */
export const smpUsage = { page: 0xff40, device: 0x01, input: 0x02, output: 0x03 } as const;

/** Item prefixes without their two size bits (HID 1.11, sections 6.2.2.4, 6.2.2.7, 6.2.2.8). */
const tag = {
  input: 0x80,
  output: 0x90,
  collection: 0xa0,
  usagePage: 0x04,
  reportSize: 0x74,
  reportId: 0x84,
  reportCount: 0x94,
  push: 0xa4,
  pop: 0xb4,
  usage: 0x08,
} as const;
const longItem = 0xfe;
const applicationCollection = 1;

/** Size and count of the main items that follow; kept by push and pop. */
interface GlobalState {
  usagePage: number;
  reportSize: number;
  reportCount: number;
}

/** Errors: `wire.malformed`. */
export function parseReportDescriptor(bytes: Uint8Array): ReportDescriptor {
  if (bytes.length > mostDescriptorBytes) throw malformed(`${bytes.length} bytes`);
  let global: GlobalState = { usagePage: 0, reportSize: 0, reportCount: 0 };
  const pushed: GlobalState[] = [];
  const bits = { input: 0, output: 0 };
  const applications: { usagePage: number; usage: number }[] = [];
  let hasReportIds = false;
  let usage: { value: number; isExtended: boolean } | undefined;

  for (const item of items(bytes)) {
    if (item.tag === tag.usagePage) global.usagePage = item.value;
    else if (item.tag === tag.reportSize) global.reportSize = item.value;
    else if (item.tag === tag.reportCount) global.reportCount = item.value;
    else if (item.tag === tag.reportId) hasReportIds = true;
    else if (item.tag === tag.push) pushed.push({ ...global });
    else if (item.tag === tag.pop) global = pushed.pop() ?? global;
    else if (item.tag === tag.usage) usage ??= { value: item.value, isExtended: item.bytes === 4 };
    if (item.tag === tag.input) bits.input += global.reportSize * global.reportCount;
    if (item.tag === tag.output) bits.output += global.reportSize * global.reportCount;
    if (Math.max(bits.input, bits.output) > mostReportBits) throw malformed('a report without end');
    if (item.tag === tag.collection && item.value === applicationCollection) {
      applications.push(
        usage?.isExtended
          ? { usagePage: usage.value >>> 16, usage: usage.value & 0xffff }
          : { usagePage: global.usagePage, usage: usage?.value ?? 0 },
      );
    }
    const isMain = (item.tag & 0x0c) === 0;
    if (isMain) usage = undefined; // local items hold for one main item
  }
  return {
    inputBytes: Math.ceil(bits.input / 8),
    outputBytes: Math.ceil(bits.output / 8),
    hasReportIds,
    applications,
  };
}

function* items(bytes: Uint8Array): Generator<{ tag: number; bytes: number; value: number }> {
  for (let at = 0; at < bytes.length;) {
    const prefix = bytes[at] ?? 0;
    if (prefix === longItem) {
      at += 3 + (bytes[at + 1] ?? 0);
      if (at > bytes.length) throw malformed('a long item without its end');
      continue;
    }
    const size = [0, 1, 2, 4][prefix & 3] ?? 0;
    const data = bytes.subarray(at + 1, at + 1 + size);
    if (data.length < size) throw malformed('an item without its end');
    const value = data.reduceRight((sum, byte) => sum * 256 + byte, 0);
    yield { tag: prefix & 0xfc, bytes: size, value };
    at += 1 + size;
  }
}

/** The descriptor of a camera with reports of this size, both ways. */
export function smpReportDescriptor(reportBytes: number): Uint8Array {
  const count = reportBytes < 256 ? [0x95, reportBytes] : [0x96, reportBytes & 0xff, reportBytes >> 8];
  return Uint8Array.from(
    [
      [0x06, smpUsage.page & 0xff, smpUsage.page >> 8], // usage page
      [0x09, smpUsage.device], // usage
      [0xa1, applicationCollection],
      [0x15, 0x00], // logical minimum 0
      [0x26, 0xff, 0x00], // logical maximum 255
      [0x75, 0x08], // report size: 8 bits
      count, // report count
      [0x09, smpUsage.input],
      [0x81, 0x02], // input: data, variable, absolute
      [0x09, smpUsage.output],
      [0x91, 0x02], // output: data, variable, absolute
      [0xc0], // end of collection
    ].flat(),
  );
}

function malformed(detail: string): DockError {
  return new DockError('wire.malformed', `HID report descriptor: ${detail}`);
}
