import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A USB device as a test describes it; what is left out has the value of an ordinary camera. */
export interface FakeUsbDevice {
  /** `1-1.2`; hubs on the way must be described too where they matter. */
  readonly port: string;
  readonly address?: number;
  /** `vvvv:pppp`. */
  readonly id?: string;
  readonly manufacturer?: string;
  readonly product?: string;
  readonly serial?: string;
  readonly speed?: string;
  readonly maxPower?: string;
  readonly deviceClass?: string;
  readonly authorized?: boolean;
  readonly interfaces?: readonly FakeInterface[];
}

export interface FakeInterface {
  /** `06/01/01`. */
  readonly class: string;
  readonly description?: string;
  readonly driver?: string;
  readonly authorized?: boolean;
  readonly tty?: string;
  readonly hidraw?: string;
  /** Of the hidraw node; by default a vendor's page. */
  readonly reportDescriptor?: Uint8Array;
  readonly disk?: string;
}

/** First collection on page ff00: what a camera that speaks over reports shows. */
export const vendorReports = Buffer.from('0600ff0901a101c0', 'hex');
/** Page 1 (generic desktop), usage 6: a keyboard. */
export const keyboardReports = Buffer.from('05010906a101c0', 'hex');

const controller = 'devices/pci0000:00/0000:00:14.0';

/**
 * A folder with `sys` and `dev` in the layout of Linux: real folders below `sys/devices`, nested as the hubs are, and
 * links to them from `bus/usb/devices` and `class`. Taken from a 6.12 kernel with xhci_hcd.
 */
export class FakeSysfs {
  readonly root = mkdtempSync(join(tmpdir(), 'dock-sysfs-'));
  readonly sysRoot = join(this.root, 'sys');
  readonly devRoot = join(this.root, 'dev');
  #address = 1;

  constructor(devices: readonly FakeUsbDevice[] = []) {
    for (const folder of ['bus/usb/devices', 'class/tty', 'class/hidraw']) this.#folder(`sys/${folder}`);
    for (const folder of ['dev/bus/usb', 'etc/docking-station']) this.#folder(folder);
    this.write('sys/module/usbcore/parameters/usbfs_memory_mb', '16');
    for (const bus of new Set([1, ...devices.map(({ port }) => Number(port.split('-')[0]))])) {
      this.#rootHub(bus);
    }
    for (const device of devices) this.plug(device);
  }

  /** Adds a device; its folder comes first, as in the kernel. */
  plug(device: FakeUsbDevice): void {
    const { port, address = ++this.#address, id = '1d6b:0104', interfaces = [] } = device;
    const folder = deviceFolder(port);
    const [vendorId = '', productId = ''] = id.split(':');
    this.#attributes(folder, {
      busnum: port.split('-')[0],
      devnum: String(address),
      idVendor: vendorId,
      idProduct: productId,
      bDeviceClass: device.deviceClass ?? '00',
      bcdDevice: '0100',
      bConfigurationValue: '1',
      manufacturer: device.manufacturer,
      product: device.product,
      serial: device.serial,
      speed: device.speed ?? '480',
      bMaxPower: device.maxPower ?? '500mA',
      authorized: device.authorized === false ? '0' : '1',
    });
    const descriptors = Buffer.from('12010002000000406b1d0401000101020301', 'hex');
    this.write(join('sys', folder, 'descriptors'), descriptors);
    interfaces.forEach((each, index) => this.#interface(folder, `${port}:1.${index}`, index, each));
    this.#link(`sys/bus/usb/devices/${port}`, `../../../${folder}`);
    const bus = (port.split('-')[0] ?? '').padStart(3, '0');
    this.write(`dev/bus/usb/${bus}/${String(address).padStart(3, '0')}`, '');
  }

  /** Takes a device away at once: first what leads to it. */
  unplug(port: string): void {
    const links = join(this.sysRoot, 'bus/usb/devices');
    for (const name of readdirSync(links)) {
      if (name === port || name.startsWith(`${port}:`)) rmSync(join(links, name));
    }
    rmSync(this.pathOf(port), { recursive: true, force: true });
  }

  /** A serial port of the mainboard; `type` 0 is one without a chip. */
  addUart(name: string, { type = '4' } = {}): void {
    const folder = `devices/pnp0/00:04/tty/${name}`;
    this.#attributes(folder, { type });
    this.#link(`sys/${folder}/device`, '../..');
    this.#link(`sys/class/tty/${name}`, `../../${folder}`);
    this.write(`dev/${name}`, '');
  }

  /** A HID device that is not on USB. */
  addBluetoothHid(name: string, deviceName: string): void {
    this.#hidraw('devices/virtual/misc/uhid', '0005:000005AC:00000267', {
      name,
      deviceName,
      descriptor: keyboardReports,
    });
  }

  /** Where an attribute of a device lies, or its folder. */
  pathOf(port: string, attribute = ''): string {
    return join(this.sysRoot, deviceFolder(port), attribute);
  }

  write(path: string, content: string | Uint8Array): void {
    this.#folder(dirname(path));
    writeFileSync(join(this.root, path), content);
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  #rootHub(bus: number): void {
    const folder = `${controller}/usb${bus}`;
    this.#attributes(folder, {
      busnum: String(bus),
      devnum: '1',
      idVendor: '1d6b',
      idProduct: '0002',
      bDeviceClass: '09',
      manufacturer: 'Linux 6.12.48 xhci-hcd',
      product: 'xHCI Host Controller',
      serial: '0000:00:14.0',
      speed: '480',
      authorized: '1',
    });
    this.#link(`sys/bus/usb/devices/usb${bus}`, `../../../${folder}`);
  }

  #interface(device: string, name: string, index: number, each: FakeInterface): void {
    const folder = `${device}/${name}`;
    const [cls, subclass, protocol] = each.class.split('/');
    this.#attributes(folder, {
      bInterfaceNumber: index.toString(16).padStart(2, '0'),
      bInterfaceClass: cls,
      bInterfaceSubClass: subclass,
      bInterfaceProtocol: protocol,
      bNumEndpoints: '02',
      interface: each.description,
      authorized: each.authorized === false ? '0' : '1',
    });
    if (each.driver !== undefined) {
      this.#folder(`sys/bus/usb/drivers/${each.driver}`);
      const up = '../'.repeat(folder.split('/').length);
      this.#link(`sys/${folder}/driver`, `${up}bus/usb/drivers/${each.driver}`);
    }
    if (each.tty !== undefined) this.#tty(folder, each.tty);
    if (each.hidraw !== undefined) {
      const parts = { name: each.hidraw, deviceName: 'A HID', descriptor: each.reportDescriptor };
      this.#hidraw(folder, '0003:00001D6B:00000104', parts);
    }
    if (each.disk !== undefined) {
      const disk = `${folder}/host6/target6:0:0/6:0:0:0/block/${each.disk}`;
      this.#attributes(disk, { size: '2048', diskseq: '9', ro: '0' });
      this.#folder(`sys/${disk}/${each.disk}1`);
    }
    this.#link(`sys/bus/usb/devices/${name}`, `../../../${folder}`);
  }

  /** `ttyUSB0` hangs below a port of that name, `ttyACM0` below the interface itself. */
  #tty(usbInterface: string, name: string): void {
    const parent = name.startsWith('ttyUSB') ? `${usbInterface}/${name}` : usbInterface;
    const folder = `${parent}/tty/${name}`;
    this.#folder(`sys/${folder}`);
    this.#link(`sys/${folder}/device`, '../..');
    this.#link(`sys/class/tty/${name}`, `../../${folder}`);
    this.write(`dev/${name}`, '');
    this.#link(`dev/serial/by-path/pci-0000:00:14.0-${name}`, `../../${name}`);
  }

  #hidraw(
    parent: string,
    id: string,
    node: { name: string; deviceName: string; descriptor?: Uint8Array | undefined },
  ): void {
    const [bus, vendorId, productId] = id.split(':');
    const device = `${parent}/${bus}:${vendorId?.slice(4)}:${productId?.slice(4)}.0001`;
    const folder = `${device}/hidraw/${node.name}`;
    const uevent = `DRIVER=hid-generic\nHID_ID=${id}\nHID_NAME=${node.deviceName}\nHID_UNIQ=\n`;
    this.write(`sys/${device}/uevent`, uevent);
    this.write(`sys/${device}/report_descriptor`, node.descriptor ?? vendorReports);
    this.#folder(`sys/${folder}`);
    this.#link(`sys/${folder}/device`, '../..');
    this.#link(`sys/class/hidraw/${node.name}`, `../../${folder}`);
    this.write(`dev/${node.name}`, '');
  }

  #attributes(folder: string, values: Readonly<Record<string, string | undefined>>): void {
    this.#folder(`sys/${folder}`);
    for (const [name, value] of Object.entries(values)) {
      if (value !== undefined) this.write(`sys/${folder}/${name}`, `${value}\n`);
    }
  }

  #folder(path: string): void {
    mkdirSync(join(this.root, path), { recursive: true });
  }

  #link(path: string, target: string): void {
    this.#folder(dirname(path));
    symlinkSync(target, join(this.root, path));
  }
}

/** `1-1.2` lies in `…/usb1/1-1/1-1.2`. */
function deviceFolder(port: string): string {
  const [bus = '', path = ''] = port.split('-');
  const parts = path.split('.');
  const nested = parts.map((_, index) => `${bus}-${parts.slice(0, index + 1).join('.')}`);
  return [controller, `usb${bus}`, ...nested].join('/');
}
