#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { asDockError } from '../../protocol/errors.ts';
import { openPty } from '../host/pty.ts';
import { defaultSerialLine, openSerialPort } from '../host/serial-port.ts';
import { systemClock, systemRandom } from '../host/system-clock.ts';
import { cameraFaults, type CameraFaults } from './faults.ts';
import { FolderStore } from './recording-store.ts';
import { serveCamera } from './serve.ts';
import { sampleCamera, sampleStore } from './sample-camera.ts';

interface Options {
  serial: string;
  recordings?: string;
  samples: number;
  sampleBytes: number;
  link?: string;
  port?: string;
  baud: number;
  buffer: number;
  clockOffset?: number;
  drift?: number;
  keyFile?: string;
  fault: CameraFaults;
  key: boolean;
}

function number(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value)) throw new InvalidArgumentError('not a number');
  return value;
}

function readKey(path: string): Uint8Array {
  const seed = readFileSync(path);
  if (seed.length !== 32) throw new InvalidArgumentError(`${path}: ${seed.length} bytes, a key has 32`);
  return new Uint8Array(seed);
}

function fault(text: string, previous: CameraFaults): CameraFaults {
  const [name = '', value = 'true'] = text.split('=');
  const parsed = cameraFaults.safeParse({ ...previous, [name]: value });
  if (!parsed.success) throw new InvalidArgumentError(parsed.error.issues[0]?.message ?? 'no such fault');
  return parsed.data;
}

const faultHelp = Object.entries(cameraFaults.shape)
  .map(([name, { description }]) => `  ${name.padEnd(24)}${description}`)
  .join('\n');

const program = new Command('simulate:camera')
  .description(
    'A camera of the camera group (SMP over console). Without --port it lives on a pseudo-terminal whose path it prints.',
  )
  .option('--serial <number>', 'serial number', 'SIM-0001')
  .option('--recordings <folder>', 'serve the real files of this folder')
  .option('--samples <count>', 'otherwise make so many MP4 recordings', number, 3)
  .option('--sample-bytes <bytes>', 'of about this size each', number, 1_000_000)
  .option('--link <path>', 'make a symbolic link to the pseudo-terminal there')
  .option('--port <device>', 'serve on this serial port or USB gadget port instead, such as /dev/ttyGS0')
  .option('--baud <rate>', 'bit rate of that port', number, 115_200)
  .option('--buffer <bytes>', 'message buffer of the camera', number, 2048)
  .option('--clock-offset <ms>', 'how far its clock is off (default: 4200, or 0 with --port)', number)
  .option('--drift <ppm>', 'how fast its clock runs (default: 20, or 0 with --port)', number)
  .option(
    '--key-file <file>',
    'the 32 bytes of its private key; without it the key follows from the serial number',
  )
  .option('--no-key', 'a camera that has no key to prove itself')
  .option('--fault <name[=value]>', 'do something wrong, may be repeated', fault, {})
  .addHelpText(
    'after',
    `
Faults:
${faultHelp}

Examples:
  npm run simulate:camera -- --serial BC-7 --link /tmp/bay1
  npm run simulate:camera -- --fault stallAfterBytes=500000 --fault logText
  npm run simulate:camera -- --port /dev/ttyGS0 --recordings /media/dcim
`,
  );

async function main(): Promise<void> {
  program.parse();
  const options = program.opts<Options>();
  const store = options.recordings
    ? new FolderStore(options.recordings)
    : await sampleStore({
        seed: 1,
        count: options.samples,
        sizeBytes: options.sampleBytes,
        startedAt: systemClock.now() - 8 * 3_600_000,
      });
  const camera = sampleCamera(
    {
      serialNumber: options.serial,
      store,
      bufferBytes: options.buffer,
      clockOffsetMs: options.clockOffset ?? (options.port ? 0 : 4200),
      clockDriftPpm: options.drift ?? (options.port ? 0 : 20),
      // A key that follows from a public number proves nothing: on a real port it comes from a file or not at all.
      hasKey: options.keyFile !== undefined || (options.key && !options.port),
      ...(options.keyFile !== undefined && { keySeed: readKey(options.keyFile) }),
      faults: options.fault,
    },
    systemClock,
  );
  const link = options.port
    ? await openSerialPort(options.port, { ...defaultSerialLine, baudRate: options.baud })
    : openPty(options.link);
  const unplug = (): void => void link[Symbol.asyncDispose]().then(() => process.exit(0));
  process.once('SIGINT', unplug).once('SIGTERM', unplug);
  process.stdout.write(`camera ${options.serial} with ${store.list().length} recordings on ${link.name}\n`);
  await serveCamera(camera, link, systemRandom);
}

main().catch((error: unknown) => {
  const { code, message } = asDockError(error);
  process.stderr.write(`simulate:camera: ${message} [${code}]\n`);
  process.exit(1);
});
