import { readUsbDevice, type BlockDevice, type UsbDevice } from '../../dock/host/usb-tree.ts';
import { until } from './lab.ts';

/** The device on a port, once it looks as wanted: drivers bind after the device is there. */
export function deviceThat(
  what: string,
  portPath: string,
  isAsWanted: (device: UsbDevice) => boolean,
): Promise<UsbDevice> {
  return until(what, async () => {
    const device = await readUsbDevice(portPath);
    return device && isAsWanted(device) ? device : undefined;
  });
}

/** The disks of all interfaces of a device. */
export function disksOf(device: UsbDevice): BlockDevice[] {
  return device.interfaces.flatMap((one) => one.blockDevices);
}
