import { access, constants } from 'node:fs/promises';

/** Whether the user of this process may use a device node. `missing`: there is no such node. */
export type NodeAccess = 'read-write' | 'read-only' | 'denied' | 'missing';

/** Asks the kernel for the permission without opening the node: opening a port could wake or reset its device. */
export async function accessOf(path: string): Promise<NodeAccess> {
  const may = (mode: number): Promise<boolean> =>
    access(path, mode).then(
      () => true,
      () => false,
    );
  if (await may(constants.R_OK | constants.W_OK)) return 'read-write';
  if (await may(constants.R_OK)) return 'read-only';
  return (await may(constants.F_OK)) ? 'denied' : 'missing';
}

/** Where usbfs keeps the node of a device: bus and address in three digits. */
export function usbNodePath(devRoot: string, busNumber: number, address: number): string {
  const three = (value: number): string => String(value).padStart(3, '0');
  return `${devRoot}/bus/usb/${three(busNumber)}/${three(address)}`;
}
