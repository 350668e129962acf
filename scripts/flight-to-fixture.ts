// Turns what a bay saw before a fault into a fixture for tests: annotated hex beside what it says.
//   dockctl flights show ID --save flight.json && node scripts/flight-to-fixture.ts flight.json > test/protocol/NAME.ts
import { readFileSync } from 'node:fs';
import { flightSchema, type FlightFrame } from '../agent/flight/flight.ts';
import { decodeCborMap } from '../protocol/smp/cbor.ts';
import { decodeSmpMessage } from '../protocol/smp/message.ts';

const file = process.argv[2];
if (file === undefined) throw new Error('usage: node scripts/flight-to-fixture.ts FLIGHT.json');
const flight = flightSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
process.stdout.write(
  [
    "import { annotatedHex } from './annotated-hex.ts';",
    '',
    '/**',
    ` * What bay ${flight.bay} saw before ${plain(flight.code)} on ${plain(flight.at)} (flight ${plain(flight.id)}): ${plain(flight.detail)}.`,
    ' * Messages that may hold bytes of a recording are cut; `sizeBytes` is what they had.',
    ' */',
    'export const flight = [',
    ...flight.frames.flatMap(entry),
    '];',
    '',
  ].join('\n'),
);

function entry({ kind, about, direction, sizeBytes, hex }: FlightFrame): string[] {
  const lines = kind === 'smp' ? smpLines(hex, sizeBytes) : hexLines(hex);
  return [
    '  {',
    `    name: '${plain(about)}',`,
    `    kind: '${kind}',`,
    `    direction: '${direction}',`,
    `    sizeBytes: ${sizeBytes},`,
    '    bytes: annotatedHex(`',
    ...lines.map((line) => `      ${line}`),
    '    `),',
    '  },',
  ];
}

/** The header in its fields, then the payload with what it says where it is whole. */
function smpLines(hex: string, sizeBytes: number): string[] {
  if (hex.length < 16) return hexLines(hex);
  const fields = [0, 2, 4, 8, 12, 14, 16].map((start, index, all) => hex.slice(start, all[index + 1] ?? 16));
  return [
    `${fields.filter(Boolean).join(' ')}  ; operation, flags, length, group, sequence, command`,
    ...hexLines(hex.slice(16)),
    ...meaning(hex, sizeBytes),
  ];
}

function meaning(hex: string, sizeBytes: number): string[] {
  if (hex.length / 2 < sizeBytes) return [`; cut: ${sizeBytes} bytes in all`];
  try {
    const { message } = decodeSmpMessage(new Uint8Array(Buffer.from(hex, 'hex')));
    return [`; ${plain(JSON.stringify(decodeCborMap(message.payload), shown))}`];
  } catch {
    return ['; not decodable'];
  }
}

function hexLines(hex: string): string[] {
  return hex.match(/.{1,64}/g) ?? [];
}

function shown(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Uint8Array ? `h'${Buffer.from(value).toString('hex')}'` : value;
}

/** Text from a camera must not end a comment, a string or a template. */
function plain(text: string): string {
  return text.replace(/[^ -~]|[`$\\'*]/g, '?').slice(0, 2000);
}
