import type { UsbHost } from '../bay/usb-bay.ts';
import type { FrameLog } from './frame-log.ts';
import { recordedHidPipe, recordedLink } from './recorded-link.ts';
import { recordedPtpPipe } from './recorded-ptp-pipe.ts';

/** The same host, with the traffic of each port kept in the log of its bay; a port without a log goes unrecorded. */
export function recordedUsbHost(host: UsbHost, logOf: (usbPort: string) => FrameLog | undefined): UsbHost {
  return {
    ...host,
    openPtp: async (device, signal) => {
      const [pipe, log] = [await host.openPtp(device, signal), logOf(device.portPath)];
      return log ? recordedPtpPipe(pipe, log) : pipe;
    },
    openHid: async (device, signal) => {
      const [pipe, log] = [await host.openHid(device, signal), logOf(device.portPath)];
      return log ? recordedHidPipe(pipe, log) : pipe;
    },
    openSerial: async (device, baudRate, signal) => {
      const [link, log] = [await host.openSerial(device, baudRate, signal), logOf(device.portPath)];
      return log ? recordedLink(link, log) : link;
    },
  };
}
