import { printable, bytes } from './output.ts';
import type { ProbeAnswer, ProbedDevice, ProbedInterface, ProbedNode, TakenFor } from './probe-answer.ts';

/** For people; `verbose` says of every device why each profile does not match, not only of those in question. */
export function showProbe(answer: ProbeAnswer, { verbose = false, port = '' } = {}): string {
  const lines = [
    ...(answer.usb.length === 0 ? [nothing(port)] : answer.usb.flatMap((each) => device(each, verbose))),
    ...(port === '' ? elsewhere(answer) : []),
    '',
    ...answer.emptyBays.map(({ bay, usbPort }) => `Bay ${bay} (${usbPort}) is empty.`),
    `Profiles, in the order they are tried: ${answer.profiles.join(', ')}`,
    answer.configFile === null ? 'No configuration file: no bays.' : `Configuration: ${answer.configFile}`,
    ...(answer.configProblem ? [`It cannot be used: ${answer.configProblem.message}`] : []),
    usbMemory(answer.usbfsMemoryMb),
    ...accessAdvice(answer),
  ];
  // Text from devices must not drive the terminal.
  return lines.flatMap((line) => line.split('\n').map(printable)).join('\n');
}

function nothing(port: string): string {
  return port === '' ? 'No USB device is attached.' : `Nothing is plugged in at ${port}.`;
}

function device(each: ProbedDevice, verbose: boolean): string[] {
  const depth = each.portPath.split('.').length - 1;
  const name = `${each.manufacturer} ${each.product}`.trim() || '(no name)';
  const facts = [
    `${each.portPath.padEnd(10 - depth)} ${oneLine(name)}`,
    `${each.vendorId}:${each.productId}`,
    `${each.speedMbps} Mbit/s`,
    ...(each.maxPowerMa === null ? [] : [`${each.maxPowerMa} mA`]),
    ...(each.serialNumber === '' ? [] : [`serial ${oneLine(each.serialNumber)}`]),
    ...(each.bay === null ? [] : [`bay ${each.bay}`]),
  ];
  const details = [
    takenFor(each),
    ...(each.isAuthorized ? [] : ['the kernel was told not to authorise it']),
    ...each.interfaces.flatMap(usbInterface),
    ...(each.isHub && !verbose ? [] : [node(each.node)]),
    ...(each.isHub ? [] : otherProfiles(each, verbose)),
  ];
  const indent = '  '.repeat(depth);
  return [`${indent}${facts.join('  ')}`, ...details.map((line) => `${indent}    ${line}`)];
}

function takenFor({ takenFor: taken, bay }: ProbedDevice): string {
  if (taken.kind === 'hub') return bay === null ? 'hub' : 'hub: in a bay it is refused as a stranger';
  if (taken.kind === 'unknown') return 'UNKNOWN: no profile matches; dockctl probe --draft makes one';
  if (taken.kind === 'stranger') return `STRANGER: shows ${taken.unexpected.join(', ')}, which it should not`;
  return `camera: profile ${taken.profile}, mode ${taken.mode + 1} (${channels(taken)})`;
}

function channels({ control, recordings, unlock }: Extract<TakenFor, { kind: 'camera' }>): string {
  const said = [
    ...(control === null ? [] : [`control ${control}`]),
    ...(recordings === null ? [] : [`recordings ${recordings}`]),
    ...(unlock === null ? [] : [`unlocked to ${unlock}`]),
  ];
  return said.join(', ') || 'charging only';
}

function usbInterface(each: ProbedInterface): string[] {
  const facts = [
    `interface ${each.number}  ${each.classTriple}  ${each.className}`,
    ...(each.description === '' ? [] : [`"${oneLine(each.description)}"`]),
    each.driver === null ? 'no driver' : `driver ${each.driver}`,
    ...(each.isAuthorized ? [] : ['NOT AUTHORISED']),
  ];
  return [
    facts.join('  '),
    ...each.nodes.map((one) => `  ${node(one)}`),
    ...each.blockDevices.map(({ name, sizeBytes, isReadOnly, partitions }) => {
      const parts = partitions.length > 0 ? ` (${partitions.join(', ')})` : '';
      return `  disk ${name}${parts}, ${bytes(sizeBytes)}${isReadOnly ? ', read-only' : ''}`;
    }),
  ];
}

const accessWords = {
  'read-write': 'may be opened',
  'read-only': 'may only be READ by this user',
  denied: 'may NOT be opened by this user',
  missing: 'is not there',
} as const satisfies Record<ProbedNode['access'], string>;

function node({ path, access }: ProbedNode): string {
  return `${path} ${accessWords[access]}`;
}

function otherProfiles(each: ProbedDevice, verbose: boolean): string[] {
  if (each.takenFor.kind === 'camera' && !verbose) return [];
  return each.otherProfiles.flatMap(({ profile, reasons }) => {
    if (reasons.length === 0) {
      const why =
        each.takenFor.kind === 'camera' ? 'fits too, and comes later' : 'fits but for what is shown besides';
      return [`${profile}: ${why}`];
    }
    return [...new Set(reasons)].map((reason) => `not ${profile}: ${oneLine(reason)}`);
  });
}

/** HID and serial hardware that is not on USB. */
function elsewhere({ hid, serial }: ProbeAnswer): string[] {
  const others = [
    ...hid
      .filter(({ usbInterface: at }) => at === null)
      .map((each) => {
        const usage = each.usage === null ? '' : `  usage ${each.usage}`;
        return `HID     ${each.bus}  ${oneLine(each.name)}  ${each.vendorId}:${each.productId}${usage}  ${node(each.node)}`;
      }),
    ...serial
      .filter(({ usbInterface: at }) => at === null)
      .map((each) => `serial  ${each.driver ?? 'no driver'}  ${node(each.node)}`),
  ];
  return others.length === 0 ? [] : ['', 'Not on USB:', ...others.map((line) => `  ${line}`)];
}

function usbMemory(megabytes: number | null): string {
  if (megabytes === null) return 'USB transfer memory: the kernel does not say (usbfs_memory_mb)';
  if (megabytes === 0) return 'USB transfer memory: no limit (usbfs_memory_mb = 0)';
  return `USB transfer memory: ${megabytes} MiB for all programs together (usbfs_memory_mb)`;
}

function accessAdvice({ usb }: ProbeAnswer): string[] {
  const nodes = usb
    .filter(({ isHub }) => !isHub)
    .flatMap((each) => [each.node, ...each.interfaces.flatMap((one) => one.nodes)]);
  if (!nodes.some(({ access }) => access === 'denied' || access === 'read-only')) return [];
  return [
    'Some nodes may not be opened by this user. The service has a user of its own: what counts is what that user may,',
    'see dockctl explain usb.access-denied',
  ];
}

function oneLine(text: string): string {
  return text.replaceAll('\n', '\uFFFD');
}
