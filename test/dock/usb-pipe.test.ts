// npm usb 3.1 tells its errors by text, takes one transfer per endpoint, cuts lengths that are no multiple of the packet
// size, cannot cancel and panics when an interface is claimed while a transfer is pending: all that ends in the pipe.
// The texts and the kernel's behaviour were seen in the lab (test/usb/mtp.lab.ts runs it on a real USB stack).
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { PtpPipe } from '../../dock/camera/ptp-pipe.ts';
import { isAttached, type UsbBackend, type UsbHandle } from '../../dock/host/usb-backend.ts';
import { readUsbMemoryLimit, UsbBudget } from '../../dock/host/usb-budget.ts';
import { readPtpEndpoints, type PtpEndpoints } from '../../dock/host/usb-endpoints.ts';
import { classify } from '../../dock/host/usb-error.ts';
import { openUsbPipe } from '../../dock/host/usb-pipe.ts';

const mib = 1024 * 1024;

describe('the text of an error of the binding', () => {
  test.each([
    ['transferIn error: Stall', 'usb.stall'],
    ['transferOut error: Stall', 'usb.stall'],
    ['controlTransferIn error: endpoint stalled', 'usb.stall'],
    ['transferIn error: Fault', 'suspect'],
    ['controlTransferOut error: hardware fault or protocol violation', 'suspect'],
    ['transferIn error: Disconnected', 'suspect'],
    ['controlTransferIn error: device disconnected', 'suspect'],
    ['claimInterface error: device disconnected (errno 19)', 'suspect'],
    ['transferIn error: Unknown(71)', 'suspect'],
    ['transferIn error: Cancelled', 'wire.timeout'],
    ['controlTransferIn error: transfer was cancelled', 'wire.timeout'],
    ['transferIn error: Unknown(12)', 'no-memory'],
    ['claimInterface error: interface is busy (errno 16)', 'usb.in-use'],
    ['open error: failed to open device (errno 13)', 'usb.access-denied'],
    ['open error: device not found (errno 2)', 'link.closed'],
    ['transferIn error: InvalidArgument', 'usb.transfer-failed'],
    ['transferIn error: endpoint not found', 'usb.transfer-failed'],
    [
      'The same native value cannot be borrowed mutably while another borrow is active',
      'usb.transfer-failed',
    ],
    ['something new', 'usb.transfer-failed'],
  ])('%s is %s', (text, failure) => {
    expect(classify(text)).toBe(failure);
  });
});

describe('the memory for transfers', () => {
  test('is halved until every pipe can have one read in flight', () => {
    const budget = new UsbBudget(16 * mib);
    expect([1, 12, 13, 25, 26, 51, 52].map((pipes) => budget.readBytesFor(pipes) / 1024)).toEqual([
      1024, 1024, 512, 512, 256, 256, 128,
    ]);
    expect(budget.readBytesFor(100_000)).toBe(16 * 1024);
    expect(new UsbBudget(Infinity).readBytesFor(1000)).toBe(mib);
  });

  test('goes by the pipes that are open now', () => {
    const budget = new UsbBudget(2 * mib);
    const leave = [budget.join(), budget.join()];
    expect(budget.readBytes).toBe(mib / 2);
    leave[0]?.();
    leave[0]?.();
    expect(budget.readBytes).toBe(mib);
  });

  test('is given in order, a large request not passed by small ones', async () => {
    const budget = new UsbBudget(10 * mib);
    const order: string[] = [];
    const take = async (name: string, bytes: number): Promise<() => void> => {
      const giveBack = await budget.acquire(bytes);
      order.push(name);
      return giveBack;
    };
    const first = await take('first', 6 * mib);
    const large = take('large', 7 * mib);
    const small = take('small', mib);
    await Promise.resolve();
    expect(order).toEqual(['first']);
    first();
    (await large)();
    (await small)();
    expect(order).toEqual(['first', 'large', 'small']);
    expect(budget.inFlightBytes).toBe(0);
  });

  test('leaves the line when its caller stops waiting, and lets the next one through', async () => {
    const budget = new UsbBudget(10 * mib);
    const first = await budget.acquire(4 * mib);
    const stop = new AbortController();
    const large = budget.acquire(7 * mib, stop.signal);
    const small = budget.acquire(mib);
    stop.abort(new Error('stop'));
    await expect(large).rejects.toThrow('stop');
    (await small)();
    first();
    expect(budget.inFlightBytes).toBe(0);
  });

  test('lets through what is larger than everything, alone', async () => {
    const budget = new UsbBudget(mib);
    (await budget.acquire(2 * mib))();
    expect(budget.inFlightBytes).toBe(0);
  });

  test.each([
    ['16\n', 16 * mib],
    ['0', Infinity],
    ['1000', 1000 * mib],
    ['nonsense', 16 * mib],
    [undefined, 16 * mib],
  ])('is read from the kernel: %j', async (content, limit) => {
    const sysRoot = await mkdtemp(join(tmpdir(), 'sys-'));
    const folder = join(sysRoot, 'module/usbcore/parameters');
    await mkdir(folder, { recursive: true });
    if (content !== undefined) await writeFile(join(folder, 'usbfs_memory_mb'), content);
    expect(await readUsbMemoryLimit({ sysRoot })).toBe(limit);
    await rm(sysRoot, { recursive: true });
  });
});

describe('the endpoints', () => {
  let sysRoot = '';
  afterEach(() => rm(sysRoot, { recursive: true, force: true }));

  async function addInterface(number: string, triple: string, description: string): Promise<void> {
    const folder = join(sysRoot, `bus/usb/devices/1-2/1-2:1.${Number.parseInt(number, 16)}`);
    const [cls = '', subclass = '', protocol = ''] = triple.split('/');
    const files: Record<string, string> = {
      bInterfaceNumber: number,
      bInterfaceClass: cls,
      bInterfaceSubClass: subclass,
      bInterfaceProtocol: protocol,
      interface: description,
      uevent: 'DEVTYPE=usb_interface\nDRIVER=usb-storage\n',
    };
    await mkdir(folder, { recursive: true });
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), `${content}\n`);
    for (const [address, type, direction, packet] of [
      ['81', 'Bulk', 'in', '0200'],
      ['02', 'Bulk', 'out', '0200'],
      ['85', 'Interrupt', 'in', '001c'],
    ] as const) {
      const endpoint = join(folder, `ep_${address}`);
      await mkdir(endpoint);
      await writeFile(join(endpoint, 'bEndpointAddress'), `${address}\n`);
      await writeFile(join(endpoint, 'type'), `${type}\n`);
      await writeFile(join(endpoint, 'direction'), `${direction}\n`);
      await writeFile(join(endpoint, 'wMaxPacketSize'), `${packet}\n`);
    }
  }

  test('are those of the still-image interface, wherever it is', async () => {
    sysRoot = await mkdtemp(join(tmpdir(), 'sys-'));
    await addInterface('00', 'ff/ff/00', 'RIM MS/MTP');
    await addInterface('02', '06/01/01', 'GoPro');
    const expected = {
      interfaceNumber: 2,
      bulkIn: 1,
      bulkOut: 2,
      bulkInPacketBytes: 512,
      bulkOutPacketBytes: 512,
    };
    const found = await readPtpEndpoints('1-2', 'auto', { sysRoot });
    expect(found).toEqual({ ...expected, interrupt: { number: 5, packetBytes: 28 }, driver: 'usb-storage' });
    expect(await readPtpEndpoints('1-2', 0, { sysRoot })).toMatchObject({ interfaceNumber: 0 });
  });

  test('are those of an interface that calls itself MTP, when there is no other', async () => {
    sysRoot = await mkdtemp(join(tmpdir(), 'sys-'));
    await addInterface('00', 'ff/ff/00', 'RIM MS/MTP');
    expect(await readPtpEndpoints('1-2', 'auto', { sysRoot })).toMatchObject({ interfaceNumber: 0 });
    expect(await readPtpEndpoints('1-3', 'auto', { sysRoot })).toBeUndefined();
  });
});

test('an attach is there as long as its port has its address, whatever else cannot be read', async () => {
  const sysRoot = await mkdtemp(join(tmpdir(), 'sys-'));
  const folder = join(sysRoot, 'bus/usb/devices/1-2');
  await mkdir(folder, { recursive: true });
  expect(await isAttached({ portPath: '1-2', address: 7 }, { sysRoot })).toBe(false);
  await writeFile(join(folder, 'devnum'), '7\n');
  expect(await isAttached({ portPath: '1-2', address: 7 }, { sysRoot })).toBe(true);
  expect(await isAttached({ portPath: '1-2', address: 8 }, { sysRoot })).toBe(false);
  expect(await isAttached({ portPath: '1-3', address: 7 }, { sysRoot })).toBe(false);
  await rm(sysRoot, { recursive: true });
});

type Pending = { readonly reject: (error: Error) => void; readonly resolve: (bytes: Uint8Array) => void };

/** A device behaving as the binding and the kernel do; a script says what bulk reads give. */
class FakeDevice implements UsbHandle, UsbBackend {
  readonly bus = '001';
  readonly ports = [2];
  readonly address = 7;
  readonly vendorId = 0x1d6b;
  readonly productId = 0x0104;
  readonly calls: string[] = [];
  readonly pending = new Map<number, Pending>();
  /** What the next bulk reads give: bytes, an error text, or `pending`. */
  script: (Uint8Array | string)[] = [];
  isThere = true;
  isOpen = false;
  isClaimed = false;
  driver: string | undefined;
  claimError: string | undefined;
  eventText: string | undefined;
  events = 0;

  async find() {
    return this.isThere ? this : undefined;
  }

  async isPresent() {
    return this.isThere;
  }

  async endpoints(): Promise<PtpEndpoints> {
    return {
      interfaceNumber: 0,
      bulkIn: 1,
      bulkOut: 2,
      bulkInPacketBytes: 512,
      bulkOutPacketBytes: 512,
      interrupt: { number: 5, packetBytes: 28 },
      ...(this.driver !== undefined && { driver: this.driver }),
    };
  }

  #alone(call: string): void {
    this.calls.push(call);
    if (this.pending.size > 0)
      throw new Error('The same native value cannot be borrowed mutably while another borrow is active');
  }

  async open() {
    this.#alone('open');
    this.isOpen = true;
  }

  async close() {
    this.#alone('close');
    this.isOpen = false;
  }

  async claimInterface() {
    this.#alone('claim');
    if (this.claimError) throw new Error(this.claimError);
    this.isClaimed = true;
  }

  async releaseInterface() {
    this.#alone('release');
    this.isClaimed = false;
  }

  async detachKernelDriver() {
    this.calls.push('detach');
    for (const { reject } of this.pending.values()) reject(new Error('transferIn error: Disconnected'));
  }

  async reset() {
    this.#alone('reset');
    this.isClaimed = false;
  }

  async clearHalt(direction: string) {
    this.calls.push(`clear halt ${direction}`);
  }

  nativeTransferIn(endpoint: number, timeoutMs: number, bytes: number): Promise<Uint8Array> {
    if (this.pending.has(endpoint)) return Promise.reject(new Error('transferIn error: endpoint not found'));
    if (!this.isThere) return Promise.reject(new Error('transferIn error: Disconnected'));
    const next = endpoint === 5 ? this.#event() : this.script.shift();
    if (endpoint === 1) this.calls.push(`read ${bytes}`);
    if (next instanceof Uint8Array) return Promise.resolve(next);
    if (next !== undefined && next !== 'pending') return Promise.reject(new Error(next));
    return new Promise<Uint8Array>((resolve, reject) => {
      this.pending.set(endpoint, { resolve, reject });
      const timer = setTimeout(() => reject(new Error('transferIn error: Cancelled')), timeoutMs);
      timer.unref();
    }).finally(() => this.pending.delete(endpoint));
  }

  #event(): Uint8Array | string | undefined {
    if (this.events === 0) return undefined;
    this.events--;
    return this.eventText ?? new Uint8Array(16);
  }

  async nativeTransferOut(_endpoint: number, _timeoutMs: number, bytes: Uint8Array): Promise<number> {
    this.calls.push(`write ${bytes.length}`);
    return bytes.length;
  }

  async nativeControlTransferIn(
    setup: { request: number },
    _timeoutMs: number,
    bytes: number,
  ): Promise<Uint8Array> {
    this.calls.push(`control 0x${setup.request.toString(16)} ${bytes}`);
    return Uint8Array.of(4, 0, 0x19, 0x20);
  }

  async nativeControlTransferOut(
    setup: { request: number },
    _timeoutMs: number,
    bytes: Uint8Array,
  ): Promise<number> {
    this.calls.push(`control 0x${setup.request.toString(16)} ${Buffer.from(bytes).toString('hex')}`);
    return bytes.length;
  }

  unplug(): void {
    this.isThere = false;
    for (const { reject } of this.pending.values()) reject(new Error('transferIn error: Fault'));
  }
}

async function open(
  device = new FakeDevice(),
  budget = new UsbBudget(16 * mib),
): Promise<{ device: FakeDevice; pipe: PtpPipe }> {
  const place = { portPath: '1-2', address: 7 };
  const pipe = await openUsbPipe(place, 'auto', { budget, backend: device, presencePollMs: 20 });
  device.calls.length = 0;
  return { device, pipe };
}

describe('a pipe', () => {
  test('asks for whole packets and tells where a transfer ended', async () => {
    const { device, pipe } = await open();
    device.script = [new Uint8Array(512), new Uint8Array(100), new Uint8Array(0)];
    expect(await pipe.read(512, 100)).toMatchObject({ endsTransfer: false });
    expect(await pipe.read(700, 100)).toMatchObject({ endsTransfer: true });
    expect(await pipe.read(512, 100)).toMatchObject({ endsTransfer: true });
    expect(device.calls).toEqual(['read 512', 'read 1024', 'read 512']);
    await pipe[Symbol.asyncDispose]();
  });

  test('has one transfer in flight per endpoint', async () => {
    const { device, pipe } = await open();
    device.script = ['pending', new Uint8Array(3)];
    const first = pipe.read(512, 1000);
    const second = pipe.read(512, 1000);
    await pipe.write(new Uint8Array(16), 100);
    device.pending.get(1)?.resolve(new Uint8Array(1));
    expect((await first).bytes).toHaveLength(1);
    expect((await second).bytes).toHaveLength(3);
    await pipe[Symbol.asyncDispose]();
  });

  test('asks for less when the kernel has no memory, and for more again later', async () => {
    const { device, pipe } = await open();
    const none = 'transferIn error: Unknown(12)';
    device.script = [none, none, new Uint8Array(512)];
    await pipe.read(mib, 100);
    expect(device.calls).toEqual([`read ${mib}`, `read ${mib / 2}`, `read ${mib / 4}`]);
    expect(pipe.longestReadBytes).toBe(mib / 4);
    for (let reads = 0; reads < 200; reads++) {
      device.script = [new Uint8Array(512)];
      await pipe.read(512, 100);
    }
    expect(pipe.longestReadBytes).toBe(mib);
    await pipe[Symbol.asyncDispose]();
  });

  test('shares the memory with all others', async () => {
    const budget = new UsbBudget(2 * mib);
    const { pipe: one } = await open(new FakeDevice(), budget);
    expect(one.longestReadBytes).toBe(mib);
    const { pipe: two } = await open(new FakeDevice(), budget);
    expect(one.longestReadBytes).toBe(mib / 2);
    await two[Symbol.asyncDispose]();
    expect(one.longestReadBytes).toBe(mib);
    await one[Symbol.asyncDispose]();
    expect(budget.inFlightBytes).toBe(0);
  });

  test('keeps reading events, stalled or not, and gives up on an endpoint that only fails', async () => {
    const device = new FakeDevice();
    device.events = 100;
    const { pipe } = await open(device);
    await expect.poll(() => device.events).toBe(0);
    await pipe[Symbol.asyncDispose]();
    const broken = new FakeDevice();
    broken.events = 100;
    broken.eventText = 'transferIn error: Stall';
    const { pipe: other } = await open(broken);
    await expect.poll(() => broken.events).toBe(95);
    await other[Symbol.asyncDispose]();
  });

  test('that is unplugged ends in link.closed, for good', async () => {
    const { device, pipe } = await open();
    device.script = ['pending'];
    const reading = pipe.read(512, 5000);
    await expect.poll(() => device.pending.has(1)).toBe(true);
    device.unplug();
    await expect(reading).rejects.toMatchObject({ code: 'link.closed' });
    await pipe.closed;
    await expect(pipe.write(new Uint8Array(1), 100)).rejects.toMatchObject({ code: 'link.closed' });
    await expect(pipe.read(512, 100)).rejects.toMatchObject({ code: 'link.closed' });
    await expect(pipe.reset()).rejects.toMatchObject({ code: 'link.closed' });
    await pipe[Symbol.asyncDispose]();
  });

  test('notices at rest that the device is gone', async () => {
    const { device, pipe } = await open();
    device.isThere = false;
    await pipe.closed;
    await pipe[Symbol.asyncDispose]();
  });

  test('takes a fault of a device that is still there for a failed transfer', async () => {
    const { device, pipe } = await open();
    device.script = ['transferIn error: Fault'];
    await expect(pipe.read(512, 100)).rejects.toMatchObject({ code: 'usb.transfer-failed' });
    device.script = ['transferIn error: Stall', 'pending'];
    await expect(pipe.read(512, 100)).rejects.toMatchObject({ code: 'usb.stall' });
    await expect(pipe.read(512, 10)).rejects.toMatchObject({ code: 'wire.timeout' });
    await pipe[Symbol.asyncDispose]();
  });

  test('ends a read under way by taking the interface from the kernel, and goes on', async () => {
    const { device, pipe } = await open();
    device.script = ['pending'];
    const reading = pipe.read(512, 60_000);
    const outcome = expect(reading).rejects.toMatchObject({ code: 'wire.timeout' });
    await expect.poll(() => device.pending.has(1)).toBe(true);
    await pipe.abandon();
    await outcome;
    expect(device.calls).toEqual(['read 512', 'detach', 'release', 'claim']);
    device.script = [new Uint8Array(4)];
    expect((await pipe.read(512, 100)).bytes).toHaveLength(4);
    await expect.poll(() => device.pending.has(5)).toBe(true);
    await pipe[Symbol.asyncDispose]();
  });

  test('lets a read wait that is asked for while the interface is claimed again', async () => {
    const { device, pipe } = await open();
    device.script = ['pending', new Uint8Array(4)];
    const outcome = expect(pipe.read(512, 60_000)).rejects.toMatchObject({ code: 'wire.timeout' });
    await expect.poll(() => device.pending.has(1)).toBe(true);
    const abandoned = pipe.abandon();
    const next = pipe.read(512, 100);
    const written = pipe.write(new Uint8Array(16), 100);
    await outcome;
    expect((await next).bytes).toHaveLength(4);
    await written;
    await abandoned;
    await pipe[Symbol.asyncDispose]();
  });

  test('is claimed again after a reset and after it was given up', async () => {
    const { device, pipe } = await open();
    await pipe.reset();
    expect(device.calls).toEqual(['detach', 'reset', 'release', 'claim']);
    await pipe.release();
    expect(device.isOpen).toBe(false);
    await expect(pipe.read(512, 100)).rejects.toMatchObject({ code: 'usb.transfer-failed' });
    await pipe.claim();
    expect(device.isClaimed).toBe(true);
    await pipe[Symbol.asyncDispose]();
    expect(device.isOpen).toBe(false);
  });

  test('that is disposed of opens nothing any more, also for a call that waited in line', async () => {
    const { device, pipe } = await open();
    const released = pipe.release();
    const disposed = pipe[Symbol.asyncDispose]();
    const claimed = expect(pipe.claim()).rejects.toMatchObject({ code: 'link.closed' });
    const reset = expect(pipe.reset()).rejects.toMatchObject({ code: 'link.closed' });
    await Promise.all([released, disposed, claimed, reset]);
    expect(device).toMatchObject({ isOpen: false, isClaimed: false });
    expect(device.calls).not.toContain('open');
  });

  test.each(['claim', 'reset'] as const)('gives back what it claims while it goes: %s', async (call) => {
    const { device, pipe } = await open();
    if (call === 'claim') await pipe.release();
    const claimInterface = device.claimInterface.bind(device);
    device.claimInterface = async () => {
      device.isThere = false;
      await pipe.closed;
      await claimInterface();
    };
    await expect(pipe[call]()).rejects.toMatchObject({ code: 'link.closed' });
    expect(device).toMatchObject({ isOpen: false, isClaimed: false });
    await pipe[Symbol.asyncDispose]();
  });

  test('that cannot be claimed is closed again', async () => {
    const device = new FakeDevice();
    device.claimError = 'claimInterface error: interface is busy (errno 16)';
    await expect(open(device)).rejects.toMatchObject({ code: 'usb.in-use' });
    expect(device.isOpen).toBe(false);
  });

  test('sends the class requests of PTP', async () => {
    const { device, pipe } = await open();
    await pipe.cancel(0x0102);
    await pipe.classReset();
    expect(await pipe.status()).toBe(0x2019);
    await pipe.clearHalt('out');
    expect(device.calls).toEqual([
      'control 0x64 014002010000',
      'control 0x66 ',
      'control 0x67 64',
      'clear halt out',
    ]);
    await pipe[Symbol.asyncDispose]();
  });

  test('ends a write that fills its last packet with an empty one', async () => {
    const { device, pipe } = await open();
    await pipe.write(new Uint8Array(512), 100);
    await pipe.write(new Uint8Array(16), 100);
    expect(device.calls).toEqual(['write 512', 'write 0', 'write 16']);
    await pipe[Symbol.asyncDispose]();
  });

  test('takes the interface from a kernel driver, never from a program', async () => {
    const bound = new FakeDevice();
    bound.driver = 'usb-storage';
    const calls = bound.calls;
    const pipe = await openUsbPipe({ portPath: '1-2', address: 7 }, 'auto', {
      budget: new UsbBudget(mib),
      backend: bound,
    });
    expect(calls).toEqual(['open', 'detach', 'claim']);
    await pipe[Symbol.asyncDispose]();
    const held = new FakeDevice();
    held.driver = 'usbfs';
    held.claimError = 'claimInterface error: interface is busy (errno 16)';
    await expect(open(held)).rejects.toMatchObject({ code: 'usb.in-use' });
    expect(held.calls).not.toContain('detach');
  });

  test('of a device that is not there any more is link.closed', async () => {
    const device = new FakeDevice();
    device.isThere = false;
    await expect(open(device)).rejects.toMatchObject({ code: 'link.closed' });
  });
});
