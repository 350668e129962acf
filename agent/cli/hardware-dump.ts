import { release } from 'node:os';
import type { HidNode } from '../../dock/host/hid-list.ts';
import type { RawUsbEntry } from '../../dock/host/usb-attributes.ts';
import { version } from '../version.ts';
import type { ProbeAnswer } from './probe-answer.ts';

/** The file `dockctl probe --dump` writes: what a bug report needs, without what tells one machine from another. */
export interface HardwareDump {
  readonly kind: 'dock-hardware-dump';
  readonly formatVersion: 1;
  readonly agentVersion: string;
  readonly node: string;
  readonly platform: string;
  /** Release of the kernel. */
  readonly kernel: string;
  readonly usbfsMemoryMb: number | null;
  readonly usb: readonly {
    readonly name: string;
    readonly attributes: Readonly<Record<string, string>>;
    readonly driver: string | null;
    /** Hex; null for interfaces. */
    readonly descriptors: string | null;
  }[];
  readonly hid: readonly {
    readonly name: string;
    readonly deviceName: string;
    readonly usbInterface: string | null;
    readonly usage: string | null;
  }[];
  readonly serial: readonly { readonly driver: string | null; readonly usbInterface: string | null }[];
  /** What each device is taken for on this station, by port path. */
  readonly takenFor: Readonly<Record<string, ProbeAnswer['usb'][number]['takenFor']>>;
  readonly bays: Readonly<Record<string, number>>;
}

/** What people are told about the file. */
export const dumpContents =
  'It holds: USB devices with ids, names, raw descriptors, drivers and ports; HID and serial ports; which profile each\n' +
  'device is taken for; versions of kernel, Node and agent. Serial numbers are replaced by placeholders that keep only\n' +
  'their length and kinds of characters. It holds no recordings, no host or user name, no network address.';

export function hardwareDump(
  raw: readonly RawUsbEntry[],
  hidNodes: readonly HidNode[],
  answer: ProbeAnswer,
): HardwareDump {
  const hide = serialHider([
    ...raw.map(({ attributes }) => attributes['serial'] ?? ''),
    ...hidNodes.map(({ serialNumber }) => serialNumber),
  ]);
  return {
    kind: 'dock-hardware-dump',
    formatVersion: 1,
    agentVersion: version,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    kernel: release(),
    usbfsMemoryMb: answer.usbfsMemoryMb,
    usb: raw.map(({ name, attributes, driver, descriptors }) => ({
      name,
      attributes: Object.fromEntries(
        Object.entries(attributes).map(([key, text]) => [
          key,
          key === 'serial' ? hide.exact(text) : hide.within(text),
        ]),
      ),
      driver: driver ?? null,
      descriptors: descriptors ? Buffer.from(descriptors).toString('hex') : null,
    })),
    hid: answer.hid.map(({ node, name, usbInterface, usage }) => ({
      name: node.path.replace(/.*\//, ''),
      deviceName: hide.within(name),
      usbInterface,
      usage,
    })),
    serial: answer.serial.map(({ driver, usbInterface }) => ({ driver, usbInterface })),
    takenFor: Object.fromEntries(answer.usb.map(({ portPath, takenFor }) => [portPath, takenFor])),
    bays: Object.fromEntries(
      answer.usb.flatMap(({ portPath, bay }) => (bay === null ? [] : [[portPath, bay] as const])),
    ),
  };
}

/** Somebody will look at the file in a terminal, which no device may drive. */
export function dumpText(dump: HardwareDump): string {
  return JSON.stringify(dump, undefined, 2).replace(/(?!\n)[\p{Cc}\p{Cf}]/gu, (character) =>
    Array.from({ length: character.length }, (_, index) => {
      return `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`;
    }).join(''),
  );
}

/** Shorter ones would hit ordinary words inside other texts. */
const shortestToFind = 4;

interface SerialHider {
  /** The placeholder of a text that is a serial number, whatever it looks like. */
  exact(text: string): string;
  /** A text with every serial number of the machine in it replaced: some makers repeat it in the product name. */
  within(text: string): string;
}

function serialHider(serials: readonly string[]): SerialHider {
  const placeholders = new Map<string, string>();
  for (const serial of serials) {
    if (serial === '' || placeholders.has(serial)) continue;
    placeholders.set(
      serial,
      `serial-${placeholders.size + 1} (${serial.length} characters: ${shape(serial)})`,
    );
  }
  const longestFirst = [...placeholders.keys()]
    .filter((serial) => serial.length >= shortestToFind)
    .toSorted((a, b) => b.length - a.length);
  const anySerial =
    longestFirst.length === 0
      ? undefined
      : new RegExp(longestFirst.map((serial) => RegExp.escape(serial)).join('|'), 'gi');
  const bySmall = new Map([...placeholders].map(([serial, text]) => [serial.toLowerCase(), text]));
  return {
    exact: (text) => placeholders.get(text) ?? '',
    within: (text) =>
      anySerial ? text.replace(anySerial, (found) => bySmall.get(found.toLowerCase()) ?? 'serial') : text,
  };
}

/** `BC-1001` is `AA-0000`; runs of more than eight are counted, so that no long text is kept. */
function shape(serial: string): string {
  return serial
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(/[A-Z]/g, 'A')
    .replace(/[a-z]/g, 'a')
    .replace(/[0-9]/g, '0')
    .replace(/(.)\1{8,}/g, (run, one: string) => `${one}{${run.length}}`);
}
