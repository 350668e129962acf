import type { UsbInterface } from '../../dock/host/usb-tree.ts';

/** An interface that the kernel has no driver for and that shows nothing. */
export function usbInterface(number: number, change: Partial<UsbInterface> = {}): UsbInterface {
  return {
    number,
    classTriple: 'ff/00/00',
    description: '',
    driver: undefined,
    isAuthorized: true,
    endpoints: 2,
    ttys: [],
    hidraws: [],
    blockDevices: [],
    ...change,
  };
}
