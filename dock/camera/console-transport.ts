import {
  ConsoleDeframer,
  consoleOverheadBytes,
  encodeConsoleFrame,
  type ConsoleItem,
} from '../../protocol/smp/console-frame.ts';
import type { Clock } from '../clock.ts';
import type { ByteLink } from '../link.ts';
import type { SmpTransport } from './smp-transport.ts';

export interface ConsoleOptions {
  /** Of the line, to know how long a message takes; 0 where the line has no rate of its own. */
  readonly bytesPerSecond: number;
  /** Lines a server takes in one burst; Zephyr's default has two line buffers and loses the third. */
  readonly burstLines: number;
  /** Pause before each further line. */
  readonly lineGapMs: number;
  /** Sees what is no message: log text of the camera and damaged frames. */
  readonly onNoise?: (item: Exclude<ConsoleItem, { kind: 'message' }>) => void;
}

export const defaultConsoleOptions: ConsoleOptions = { bytesPerSecond: 0, burstLines: 2, lineGapMs: 20 };

/** A message four times the advised size: every start of a frame costs a buffer of what it announces. */
const limits = { maxMessageBytes: 8192, maxLineBytes: 1024 };

/** SMP over console on any byte link. */
export function consoleTransport(link: ByteLink, clock: Clock, options: ConsoleOptions): SmpTransport {
  let sending = Promise.resolve();

  async function sendLines(message: Uint8Array): Promise<void> {
    const lines = encodeConsoleFrame(message);
    const burst = lines.slice(0, options.burstLines);
    await link.write(Buffer.concat(burst));
    for (const line of lines.slice(options.burstLines)) {
      await clock.sleep(options.lineGapMs);
      await link.write(line);
    }
  }

  return {
    name: link.name,
    closed: link.closed,
    maxMessageBytes: limits.maxMessageBytes,
    overheadBytes: consoleOverheadBytes,
    wireTimeMs: (messageBytes) =>
      options.bytesPerSecond === 0 ? 0 : (messageBytes * (127 / 93) * 1000) / options.bytesPerSecond,
    onMessage: (receiver) => {
      const deframer = new ConsoleDeframer(limits);
      link.onBytes((chunk) => {
        for (const item of deframer.push(chunk)) {
          if (item.kind === 'message') receiver(item.bytes);
          else options.onNoise?.(item);
        }
      });
    },
    send: (message) => {
      const sent = sending.then(() => sendLines(message));
      sending = sent.catch(() => undefined);
      return sent;
    },
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}
