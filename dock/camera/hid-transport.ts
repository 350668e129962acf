import { DockError } from '../../protocol/errors.ts';
import {
  encodeHidReports,
  HidReassembler,
  hidOverheadBytes,
  hidReportCount,
} from '../../protocol/hid/report-frame.ts';
import type { Clock } from '../clock.ts';
import type { HidPipe } from './hid-pipe.ts';
import type { SmpTransport } from './smp-transport.ts';

/** As on a console: a message four times the advised size. */
const maxMessageBytes = 8192;

/**
 * A device that takes no reports for so long is taken for gone. The kernel of Linux gives up a report after 5 s
 * (usbhid: USB_CTRL_SET_TIMEOUT), holding a thread of ours meanwhile.
 */
const stuckAfterMs = 3000;

/** SMP over HID (protocol/hid/smp-over-hid.md) on any pipe. A lost report is a lost message; nothing is repeated here. */
export function hidTransport(pipe: HidPipe, clock: Clock): SmpTransport {
  const { name, reportBytes } = pipe;
  let counter = 0;
  let sending = Promise.resolve();
  let isClosed = false;
  void pipe.closed.then(() => {
    isClosed = true;
  });

  async function sendReports(message: Uint8Array): Promise<void> {
    const reports = encodeHidReports(message, { reportBytes, counter });
    counter = (counter + reports.length) & 0xff;
    for (const report of reports) {
      // The rest of a message to a pipe that is gone, or the ones queued behind it, would each wait in vain.
      if (isClosed) throw new DockError('link.closed', name);
      await pipe.write(report);
    }
  }

  const wireTimeMs = (messageBytes: number): number =>
    hidReportCount(messageBytes, reportBytes) * pipe.reportIntervalMs;

  /** Closes a pipe whose writes do not come back: the caller learns it as `link.closed`. */
  async function sendOrGiveUp(message: Uint8Array): Promise<void> {
    const timer = new AbortController();
    const stuck = clock.sleep(stuckAfterMs + wireTimeMs(message.length), timer.signal).then(
      () => {
        isClosed = true;
        void pipe[Symbol.asyncDispose]();
        throw new DockError('link.closed', `${name} takes no reports`);
      },
      () => undefined,
    );
    try {
      await Promise.race([sendReports(message), stuck]);
    } finally {
      timer.abort();
    }
  }

  return {
    name,
    closed: pipe.closed,
    maxMessageBytes,
    overheadBytes: hidOverheadBytes,
    wireTimeMs,
    onMessage: (receiver) => {
      const reassembler = new HidReassembler({ maxMessageBytes });
      pipe.onReport((report) => {
        for (const item of reassembler.push(report)) if (item.kind === 'message') receiver(item.bytes);
      });
    },
    send: (message) => {
      const sent = sending.then(() => sendOrGiveUp(message));
      sending = sent.catch(() => undefined);
      return sent;
    },
    [Symbol.asyncDispose]: () => pipe[Symbol.asyncDispose](),
  };
}
