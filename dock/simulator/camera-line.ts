import { encodeHidReports, HidReassembler, hidReportKind } from '../../protocol/hid/report-frame.ts';
import { ConsoleDeframer, encodeConsoleFrame } from '../../protocol/smp/console-frame.ts';
import type { HidPipe } from '../camera/hid-pipe.ts';
import type { ByteLink } from '../link.ts';

/** The way from a simulated camera to its host, seen from the camera: whole messages in, pieces of the wire out. */
export interface CameraLine extends AsyncDisposable {
  readonly closed: Promise<void>;
  onMessage(receiver: (message: Uint8Array) => void): void;
  /** The pieces that carry a message. What can be lost is a whole piece. */
  pieces(message: Uint8Array): readonly Uint8Array[];
  /** The pieces that carry a line of log text. */
  textPieces(text: string): readonly Uint8Array[];
  /** Sends a piece, or the start of one that the pulling of a cable cut off. */
  write(piece: Uint8Array): Promise<void>;
}

const limits = { maxMessageBytes: 0xffff - 2, maxLineBytes: 512 };

/** SMP over console on a byte link. */
export function consoleLine(link: ByteLink): CameraLine {
  return {
    closed: link.closed,
    onMessage: (receiver) => {
      const deframer = new ConsoleDeframer(limits);
      link.onBytes((chunk) => {
        for (const item of deframer.push(chunk)) if (item.kind === 'message') receiver(item.bytes);
      });
    },
    pieces: (message) => [Buffer.concat(encodeConsoleFrame(message))],
    textPieces: (text) => [Buffer.from(`${text}\r\n`, 'latin1')],
    write: (piece) => link.write(piece),
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}

/** SMP over HID on a pipe whose `write` sends input reports. */
export function hidLine(pipe: HidPipe): CameraLine {
  const { reportBytes } = pipe;
  let counter = 0;
  return {
    closed: pipe.closed,
    onMessage: (receiver) => {
      const reassembler = new HidReassembler(limits);
      pipe.onReport((report) => {
        for (const item of reassembler.push(report)) if (item.kind === 'message') receiver(item.bytes);
      });
    },
    pieces: (message) => {
      const reports = encodeHidReports(message, { reportBytes, counter });
      counter = (counter + reports.length) & 0xff;
      return reports;
    },
    textPieces: (text) => {
      const report = new Uint8Array(reportBytes);
      report[0] = hidReportKind.maker;
      report.set(Buffer.from(text, 'latin1').subarray(0, reportBytes - 1), 1);
      return [report];
    },
    // A report is on the wire as a whole or not at all.
    write: async (piece) => (piece.length === reportBytes ? pipe.write(piece) : undefined),
    [Symbol.asyncDispose]: () => pipe[Symbol.asyncDispose](),
  };
}
