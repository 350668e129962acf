import type { HidPipe } from '../camera/hid-pipe.ts';
import type { ByteLink } from '../link.ts';
import type { FrameLog } from './frame-log.ts';

/** The same link, with what goes over it kept in a frame log. */
export function recordedLink(link: ByteLink, log: FrameLog): ByteLink {
  return {
    name: link.name,
    closed: link.closed,
    onBytes: (receiver) =>
      link.onBytes((chunk) => {
        log.add('console', 'in', chunk);
        receiver(chunk);
      }),
    write: (bytes) => {
      log.add('console', 'out', bytes);
      return link.write(bytes);
    },
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}

/** The same pipe, with its reports kept in a frame log. */
export function recordedHidPipe(pipe: HidPipe, log: FrameLog): HidPipe {
  return {
    name: pipe.name,
    reportBytes: pipe.reportBytes,
    reportIntervalMs: pipe.reportIntervalMs,
    closed: pipe.closed,
    onReport: (receiver) =>
      pipe.onReport((report) => {
        log.add('hid', 'in', report);
        receiver(report);
      }),
    write: (report) => {
      log.add('hid', 'out', report);
      return pipe.write(report);
    },
    [Symbol.asyncDispose]: () => pipe[Symbol.asyncDispose](),
  };
}
