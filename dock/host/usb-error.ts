import type { ErrorCode } from '../../protocol/error-catalogue.ts';

/**
 * What a failed call of npm `usb` 3.1 means. `suspect` is said both of a device that went away and of one that is
 * still there: sysfs tells. `no-memory`: the kernel's budget for transfers is used up (usb-budget.ts).
 */
export type UsbFailure = ErrorCode | 'suspect' | 'no-memory';

const byErrno: Readonly<Record<number, UsbFailure>> = {
  1: 'usb.access-denied',
  2: 'link.closed',
  12: 'no-memory',
  13: 'usb.access-denied',
  16: 'usb.in-use',
  19: 'suspect',
  // The kernel gives these for a device that stops answering its controller, as one does while it is pulled.
  71: 'suspect',
  108: 'suspect',
  110: 'wire.timeout',
};

/**
 * By message text, the only thing the binding (node-usb-rs 3.1.0 on nusb 0.2.7) tells: bulk and interrupt transfers
 * end in a bare word, control transfers in a phrase, everything else in `(errno N)`. All texts seen in the lab;
 * whatever is not known is a failed transfer.
 */
export function classify(errorText: string): UsbFailure {
  const errno = /(?:\(errno |Unknown\(|unknown \()(\d+)\)/.exec(errorText)?.[1];
  if (errno !== undefined) return byErrno[Number(errno)] ?? 'usb.transfer-failed';
  if (/\bStall$|endpoint stalled/.test(errorText)) return 'usb.stall';
  // Also what a transfer under way gets when its interface is taken from it.
  if (/\b(Disconnected|Fault)$|device disconnected|hardware fault/.test(errorText)) return 'suspect';
  if (/\bCancelled$|transfer was cancelled/.test(errorText)) return 'wire.timeout';
  return 'usb.transfer-failed';
}
