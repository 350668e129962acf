import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DockError, hasCode } from '../../protocol/errors.ts';
import type { UsbHost } from '../bay/usb-bay.ts';
import type { HidPipe } from '../camera/hid-pipe.ts';
import { withDeadline, type Clock } from '../clock.ts';
import { expectVendorDefined, openHidPipe } from './hid-pipe.ts';
import { PrivilegedHelper } from './privileged-helper.ts';
import { defaultSerialLine, openSerialPort } from './serial-port.ts';
import { mountStorage } from './storage-mount.ts';
import { readUsbMemoryLimit, UsbBudget } from './usb-budget.ts';
import { openUsbPipe } from './usb-pipe.ts';
import { readUsbDevice, type UsbDevice } from './usb-tree.ts';

/** With so much, twelve bays can each have a long read in flight. */
const wantedUsbMemoryMib = 64;
/** The start of the agent does not wait longer for a helper that hangs. */
const helperStartMs = 5000;
/** Drivers bind, and udev gives the nodes to the service, after the device has appeared. */
const nodeWaitMs = 5000;
const nodePollMs = 200;

/** The USB stack of this machine; one for all bays, which share its memory for transfers. */
export async function systemUsbHost({
  helperSocket,
  clock,
}: {
  helperSocket: string;
  clock: Clock;
}): Promise<UsbHost> {
  const helper = new PrivilegedHelper(clock, { socketPath: helperSocket });
  // Without the helper the limit stays as it is, and reads get shorter instead.
  const { signal } = new AbortController();
  await withDeadline(clock, { ms: helperStartMs, signal, what: 'usbfs-memory' }, (late) =>
    helper.raiseUsbfsMemory(wantedUsbMemoryMib, late),
  ).catch(() => undefined);
  const budget = new UsbBudget(await readUsbMemoryLimit());

  /** Opens a device node of its drivers, once there is one that may be opened. */
  async function whenReady<Opened extends AsyncDisposable>(
    device: UsbDevice,
    nodesOf: (now: UsbDevice) => readonly string[],
    open: (first: string, nodes: readonly string[]) => Promise<Opened>,
    signal: AbortSignal,
  ): Promise<Opened> {
    const deadline = clock.monotonic() + nodeWaitMs;
    for (;;) {
      signal.throwIfAborted();
      const now = await readUsbDevice(device.portPath);
      if (now?.address !== device.address) throw new DockError('link.closed', device.portPath);
      const nodes = nodesOf(now).map((name) => join('/dev', name));
      const [first] = nodes;
      const isLate = clock.monotonic() >= deadline;
      try {
        if (first !== undefined) return await unlessAborted(open(first, nodes), signal);
        if (isLate) throw new DockError('link.open-failed', `${device.portPath} has no device node`);
      } catch (error) {
        signal.throwIfAborted();
        if (isLate || !hasCode(error, 'usb.access-denied', 'link.open-failed')) throw error;
      }
      await clock.sleep(nodePollMs, signal);
    }
  }

  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  return {
    attachment: async ({ portPath, attachId }) => {
      const ms = await connectedMs(portPath);
      // Unknown is long ago: nothing may rely on a camera that has only just come.
      const attachedAt = ms === undefined ? 0 : Math.round(clock.now() - ms);
      return { place: `${bootId} ${portPath}`, id: attachId, attachedAt };
    },
    readDevice: (portPath) => readUsbDevice(portPath),
    openPtp: async (device, signal) => {
      signal.throwIfAborted();
      return unlessAborted(openUsbPipe(device, 'auto', { budget, clock }), signal);
    },
    openHid: (device, signal) => whenReady(device, hidNodes, openOneOfHid, signal),
    openSerial: (device, baudRate, signal) =>
      whenReady(
        device,
        ({ interfaces }) => interfaces.flatMap(({ ttys }) => ttys),
        (path) => openSerialPort(path, { ...defaultSerialLine, baudRate }),
        signal,
      ),
    mount: (device, signal) => mountStorage(device, helper, clock, { signal }),
    powerCycle: async (portPath) => {
      try {
        await helper.powerCycle(portPath);
        return true;
      } catch (error) {
        if (hasCode(error, 'mount.refused', 'mount.helper-missing', 'link.closed')) return false;
        throw error;
      }
    },
  };
}

/** Stops waiting for it when the signal aborts; what has been opened nevertheless is closed again. */
async function unlessAborted<Opened extends AsyncDisposable>(
  opening: Promise<Opened>,
  signal: AbortSignal,
): Promise<Opened> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([promise, opening]);
  } catch (error) {
    void opening.then((opened) => opened[Symbol.asyncDispose]()).catch(() => undefined);
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Those of all HID interfaces; none while one of them still has no driver, and so cannot be looked at. */
function hidNodes({ interfaces }: UsbDevice): string[] {
  const isComplete = interfaces.every(
    ({ classTriple, hidraws }) => !classTriple.startsWith('03/') || hidraws.length > 0,
  );
  return isComplete ? interfaces.flatMap(({ hidraws }) => hidraws) : [];
}

/** A camera that is also a keyboard is none, whichever of its interfaces comes first. */
async function openOneOfHid(first: string, nodes: readonly string[]): Promise<HidPipe> {
  for (const node of nodes) await expectVendorDefined(node);
  return openHidPipe(first);
}

/** How long a device is attached, as the kernel counts it; undefined where it does not. */
async function connectedMs(portPath: string): Promise<number | undefined> {
  const text = await readFile(`/sys/bus/usb/devices/${portPath}/power/connected_duration`, 'utf8').catch(
    () => '',
  );
  return /^\d+$/.test(text.trim()) ? Number(text) : undefined;
}
