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
  /** Lines a server takes in one burst, of one message or several; Zephyr has two line buffers by default. */
  readonly burstLines: number;
  /** Pause before each further line. */
  readonly lineGapMs: number;
  /** Sees what is no message: log text of the camera and damaged frames. */
  readonly onNoise?: (item: Exclude<ConsoleItem, { kind: 'message' }>) => void;
}

export const defaultConsoleOptions: ConsoleOptions = { bytesPerSecond: 0, burstLines: 2, lineGapMs: 20 };

/** A message four times the advised size: every start of a frame costs a buffer of what it announces. */
const limits = { maxMessageBytes: 8192, maxLineBytes: 1024 };

/** A sleep takes so much longer than asked. */
const timerSlackMs = 2;

/** SMP over console on any byte link. */
export function consoleTransport(link: ByteLink, clock: Clock, options: ConsoleOptions): SmpTransport {
  let sending = Promise.resolve();
  /** Of each message not yet answered: its lines that may still fill the server's buffers, and since when. */
  let unanswered: { readonly lines: number; readonly sentMs: number }[] = [];

  async function sendLines(message: Uint8Array): Promise<void> {
    const lines = encodeConsoleFrame(message);
    unanswered = unanswered.filter(({ sentMs }) => clock.monotonic() - sentMs < options.lineGapMs);
    const occupied = unanswered.reduce((sum, sent) => sum + sent.lines, 0);
    const burst = lines.slice(0, Math.max(0, options.burstLines - occupied));
    if (burst.length > 0) await link.write(Buffer.concat(burst));
    for (const line of lines.slice(burst.length)) {
      await clock.sleep(options.lineGapMs);
      await link.write(line);
    }
    const last = burst.length === lines.length ? burst.length : 1;
    unanswered.push({ lines: last, sentMs: clock.monotonic() });
  }

  return {
    name: link.name,
    closed: link.closed,
    maxMessageBytes: limits.maxMessageBytes,
    overheadBytes: consoleOverheadBytes,
    wireTimeMs: (messageBytes) =>
      options.bytesPerSecond === 0 ? 0 : (messageBytes * (127 / 93) * 1000) / options.bytesPerSecond,
    pacingMs: (messageBytes) =>
      Math.max(0, Math.ceil((messageBytes + consoleOverheadBytes) / 93) - 1) *
      (options.lineGapMs + timerSlackMs),
    onMessage: (receiver) => {
      const deframer = new ConsoleDeframer(limits);
      link.onBytes((chunk) => {
        for (const item of deframer.push(chunk)) {
          if (item.kind === 'message') {
            unanswered.shift(); // a server answers in order
            receiver(item.bytes);
          } else options.onNoise?.(item);
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
