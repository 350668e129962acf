import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { usb } from 'usb';
import { readPtpEndpoints, type PtpEndpoints } from './usb-endpoints.ts';

interface UsbSetup {
  readonly requestType: 'class';
  readonly recipient: 'interface';
  readonly request: number;
  readonly value: number;
  readonly index: number;
}

/**
 * A device as npm `usb` 3.1 gives it, as far as a PTP pipe needs it. The transfers are those that its WebUSB methods
 * wrap: these are typed with their time-outs in milliseconds. Errors are told by their text alone; see `classify`.
 */
export interface UsbHandle {
  /** `001` for bus 1. */
  readonly bus: string;
  readonly ports: readonly number[];
  readonly address: number;
  readonly vendorId: number;
  readonly productId: number;
  open(): Promise<void>;
  close(): Promise<void>;
  claimInterface(interfaceNumber: number): Promise<void>;
  releaseInterface(interfaceNumber: number): Promise<void>;
  detachKernelDriver(interfaceNumber: number): Promise<void>;
  nativeTransferIn(endpoint: number, timeoutMs: number, bytes: number): Promise<Uint8Array | null>;
  nativeTransferOut(endpoint: number, timeoutMs: number, bytes: Uint8Array): Promise<number>;
  nativeControlTransferIn(setup: UsbSetup, timeoutMs: number, bytes: number): Promise<Uint8Array | null>;
  nativeControlTransferOut(setup: UsbSetup, timeoutMs: number, bytes: Uint8Array): Promise<number>;
  clearHalt(direction: 'in' | 'out', endpoint: number): Promise<void>;
  reset(): Promise<void>;
}

/** Where a device is: its port, and the address it was given at this attach. */
export interface UsbPlace {
  readonly portPath: string;
  readonly address: number;
}

/** What opening a pipe needs of the machine; tests bring their own. */
export interface UsbBackend {
  /** Not opened, and nothing asked of it; undefined while the port is empty or holds another attach. */
  find(place: UsbPlace): Promise<UsbHandle | undefined>;
  endpoints(portPath: string, wanted: number | 'auto'): Promise<PtpEndpoints | undefined>;
  isPresent(place: UsbPlace): Promise<boolean>;
}

/**
 * Whether an attach is still there, by the one attribute that says so. Asked twice a second for each camera: others,
 * such as strings, wait for the lock of the device, which a driver may hold for seconds, and a thread waits with them.
 */
export async function isAttached(
  { portPath, address }: UsbPlace,
  { sysRoot = '/sys' } = {},
): Promise<boolean> {
  const file = join(sysRoot, 'bus/usb/devices', portPath, 'devnum');
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trim() !== '' && Number(text) === address;
}

export const systemUsb: UsbBackend = {
  find: async ({ portPath, address }) => {
    const devices: readonly UsbHandle[] = await usb.getDevices();
    return devices.find(
      (device) =>
        `${Number(device.bus)}-${device.ports.join('.')}` === portPath && device.address === address,
    );
  },
  endpoints: (portPath, wanted) => readPtpEndpoints(portPath, wanted),
  isPresent: (place) => isAttached(place),
};
