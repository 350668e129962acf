import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CameraProfile } from '../../dock/camera/profile.ts';
import { hex, missOf, recognise } from '../../dock/camera/recognise.ts';
import { listHidNodes, type HidNode } from '../../dock/host/hid-list.ts';
import { accessOf, usbNodePath } from '../../dock/host/node-access.ts';
import { listSerialNodes, type SerialNode } from '../../dock/host/serial-list.ts';
import { usbClassName } from '../../dock/host/usb-class-names.ts';
import { readUsbTree, type UsbDevice, type UsbInterface } from '../../dock/host/usb-tree.ts';
import { asDockError } from '../../protocol/errors.ts';
import { builtInProfiles } from '../../dock/camera/built-in-profiles.ts';
import { loadConfig } from '../config/load.ts';
import { loadProfiles } from '../config/profiles.ts';
import type { BayConfig } from '../config/schema.ts';
import type {
  ProbeAnswer,
  ProbedDevice,
  ProbedHid,
  ProbedInterface,
  ProbedNode,
  ProbedSerial,
  TakenFor,
} from './probe-answer.ts';

/** Where the host shows its hardware; another folder than `/` in tests. */
export interface HostRoots {
  readonly sysRoot: string;
  readonly devRoot: string;
}

/** The tree, everything else on the host, and what this station takes it for. */
export interface Survey {
  readonly devices: readonly UsbDevice[];
  readonly hidNodes: readonly HidNode[];
  readonly profiles: readonly CameraProfile[];
  readonly answer: ProbeAnswer;
}

/** Looks at all hardware without opening any of it. A broken configuration is part of the answer, not an error. */
export async function survey(roots: HostRoots, configFile: string | undefined): Promise<Survey> {
  const station = stationOf(configFile);
  const [devices, hidNodes, serialNodes] = await Promise.all([
    readUsbTree(roots),
    listHidNodes(roots),
    listSerialNodes(roots),
  ]);
  const { profiles, bays } = station;
  const usb = await Promise.all(devices.map((device) => probed(device, { roots, profiles, bays })));
  const occupied = new Set(devices.map(({ portPath }) => portPath));
  const answer = {
    configFile: station.file,
    configProblem: station.problem,
    profiles: profiles.map(({ name }) => name),
    usbfsMemoryMb: await usbfsMemory(roots),
    usb,
    hid: await Promise.all(hidNodes.map((node) => probedHid(node, roots))),
    serial: await Promise.all(serialNodes.map((node) => probedSerial(node, roots))),
    emptyBays: bays.flatMap((bay) => {
      const usbPort = portOf(bay);
      return usbPort === undefined || occupied.has(usbPort) ? [] : [{ bay: bay.number, usbPort }];
    }),
  };
  return { devices, hidNodes, profiles, answer };
}

interface Station {
  readonly file: string | null;
  readonly problem: ProbeAnswer['configProblem'];
  readonly profiles: readonly CameraProfile[];
  readonly bays: readonly BayConfig[];
}

/** Somebody who looks at hardware may well be about to write the configuration. */
function stationOf(given: string | undefined): Station {
  let file = given ?? null;
  let bays: readonly BayConfig[] = [];
  let generic = false;
  try {
    const loaded = loadConfig(given, process.env);
    file = loaded.file ?? null;
    ({ bay: bays } = loaded.config);
    ({ generic } = loaded.config.cameras);
    return { file, problem: null, profiles: loadProfiles(loaded.config), bays };
  } catch (error) {
    const { code, message } = asDockError(error);
    return { file, problem: { code, message }, profiles: builtInProfiles({ generic }), bays };
  }
}

/** The device port of a bay; a serial bay may name an interface of it. */
function portOf({ usb_port, serial }: BayConfig): string | undefined {
  return usb_port ?? serial?.usb_port?.replace(/:.*/, '');
}

async function probed(
  device: UsbDevice,
  station: { roots: HostRoots; profiles: readonly CameraProfile[]; bays: readonly BayConfig[] },
): Promise<ProbedDevice> {
  const { roots, profiles, bays } = station;
  const { portPath, busNumber, address } = device;
  const takenFor = takenForBy(device, profiles);
  const interfaces = device.interfaces.map((each) => probedInterface(each, roots));
  return {
    portPath,
    hubPortPath: portPath.includes('.') ? portPath.replace(/\.\d+$/, '') : null,
    address,
    vendorId: hex(device.vendorId),
    productId: hex(device.productId),
    manufacturer: device.manufacturer,
    product: device.product,
    serialNumber: device.serialNumber,
    speedMbps: device.speedMbps,
    maxPowerMa: device.maxPowerMa ?? null,
    isHub: device.isHub,
    isAuthorized: device.isAuthorized,
    node: await nodeAt(usbNodePath(roots.devRoot, busNumber, address)),
    interfaces: await Promise.all(interfaces),
    bay: bays.find((bay) => portOf(bay) === portPath)?.number ?? null,
    takenFor,
    otherProfiles: profiles
      .filter(({ name }) => takenFor.kind !== 'camera' || takenFor.profile !== name)
      .map((profile) => missOf(device, profile) ?? { profile: profile.name, reasons: [] }),
  };
}

function takenForBy(device: UsbDevice, profiles: readonly CameraProfile[]): TakenFor {
  // A hub in a bay is a stranger; elsewhere it is part of the station.
  if (device.isHub) return { kind: 'hub' };
  const recognition = recognise(device, profiles);
  if (recognition.kind === 'unknown') return { kind: 'unknown' };
  if (recognition.kind === 'stranger') return recognition;
  const { profile, mode } = recognition;
  return {
    kind: 'camera',
    profile: profile.name,
    mode: profile.modes.indexOf(mode),
    control: mode.control ?? null,
    recordings: mode.recordings ?? null,
    unlock: mode.unlock ?? null,
  };
}

async function probedInterface(each: UsbInterface, { devRoot }: HostRoots): Promise<ProbedInterface> {
  const { number, classTriple, description, driver, isAuthorized, endpoints, blockDevices } = each;
  const names = [...each.ttys, ...each.hidraws];
  return {
    number,
    classTriple,
    className: usbClassName(classTriple),
    description,
    driver: driver ?? null,
    isAuthorized,
    endpoints,
    nodes: await Promise.all(names.map((name) => nodeAt(join(devRoot, name)))),
    blockDevices,
  };
}

async function probedHid(node: HidNode, { devRoot }: HostRoots): Promise<ProbedHid> {
  const { usage } = node;
  return {
    node: await nodeAt(join(devRoot, node.name)),
    bus: node.bus,
    vendorId: hex(node.vendorId),
    productId: hex(node.productId),
    name: node.deviceName,
    usage: usage ? `${hex(usage.page)}/${usage.id.toString(16).padStart(2, '0')}` : null,
    usbInterface: node.usbInterface ?? null,
  };
}

async function probedSerial(node: SerialNode, { devRoot }: HostRoots): Promise<ProbedSerial> {
  return {
    node: await nodeAt(join(devRoot, node.name)),
    driver: node.driver ?? null,
    usbInterface: node.usbInterface ?? null,
    links: node.links,
  };
}

async function nodeAt(path: string): Promise<ProbedNode> {
  return { path, access: await accessOf(path) };
}

async function usbfsMemory({ sysRoot }: HostRoots): Promise<number | null> {
  const file = join(sysRoot, 'module/usbcore/parameters/usbfs_memory_mb');
  const text = await readFile(file, 'utf8').catch(() => '');
  return /^\d+\s*$/.test(text) ? Number(text) : null;
}

/** Only what belongs to one port. */
export function onlyPort(answer: ProbeAnswer, portPath: string): ProbeAnswer {
  const isThere = ({ usbInterface }: { usbInterface: string | null }): boolean =>
    usbInterface?.startsWith(`${portPath}:`) === true;
  return {
    ...answer,
    usb: answer.usb.filter((device) => device.portPath === portPath),
    hid: answer.hid.filter(isThere),
    serial: answer.serial.filter(isThere),
    emptyBays: answer.emptyBays.filter(({ usbPort }) => usbPort === portPath),
  };
}
