#!/usr/bin/env node
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import { asDockError } from '../../protocol/errors.ts';
import { openPty } from '../host/pty.ts';
import { defaultSerialLine, openSerialPort } from '../host/serial-port.ts';
import { systemClock, systemRandom } from '../host/system-clock.ts';
import type { StorageMode } from '../camera/transfer-mode.ts';
import { cameraFaults, type CameraFaults } from './faults.ts';
import { openHidGadget } from './hid-gadget.ts';
import { FolderStore } from './recording-store.ts';
import { serveCamera, serveCameraOverHid } from './serve.ts';
import { sampleCamera, sampleStore } from './sample-camera.ts';
import type { SimulatedCamera } from './simulated-camera.ts';

interface Options {
  serial: string;
  recordings?: string;
  samples: number;
  sampleBytes: number;
  link?: string;
  port?: string;
  hid?: string;
  reportBytes: number;
  storageMode: StorageMode[];
  onModeSwitch?: string;
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

function storageMode(text: string, previous: StorageMode[]): StorageMode[] {
  if (text !== 'mtp' && text !== 'mass-storage') throw new InvalidArgumentError('mtp or mass-storage');
  return [...previous, text];
}

/** How long a camera stays on the bus after its answer (camera group, 3.7). */
const switchDelayMs = 250;

const faultHelp = Object.entries(cameraFaults.shape)
  .map(([name, { description }]) => `  ${name.padEnd(24)}${description}`)
  .join('\n');

const program = new Command('simulate:camera')
  .description(
    'A camera of the camera group. It lives on a pseudo-terminal whose path it prints, unless --port or --hid is given.',
  )
  .option('--serial <number>', 'serial number', 'SIM-0001')
  .option('--recordings <folder>', 'serve the real files of this folder')
  .option('--samples <count>', 'otherwise make so many MP4 recordings', number, 3)
  .option('--sample-bytes <bytes>', 'of about this size each', number, 1_000_000)
  .option('--link <path>', 'make a symbolic link to the pseudo-terminal there')
  .option('--port <device>', 'serve on this serial port or USB gadget port instead, such as /dev/ttyGS0')
  .option('--hid <device>', 'serve SMP over HID on this USB gadget function instead, such as /dev/hidg0')
  .option('--report-bytes <bytes>', 'size of its reports, as in its descriptor', number, 64)
  .option(
    '--storage-mode <mode>',
    'can be asked to become mtp or mass-storage, may be repeated',
    storageMode,
    [],
  )
  .option(
    '--on-mode-switch <command>',
    'shell command to run then, with DOCK_CAMERA_MODE and DOCK_CAMERA_SERIAL set; the camera ends',
  )
  .option('--baud <rate>', 'bit rate of that port', number, 115_200)
  .option('--buffer <bytes>', 'message buffer of the camera', number, 2048)
  .option('--clock-offset <ms>', 'how far its clock is off (default: 4200, or 0 on a device)', number)
  .option('--drift <ppm>', 'how fast its clock runs (default: 20, or 0 on a device)', number)
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
  npm run simulate:camera -- --hid /dev/hidg0 --storage-mode mtp --on-mode-switch ./become-mtp.sh
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
  const isOnDevice = options.port !== undefined || options.hid !== undefined;
  const switching = Promise.withResolvers<StorageMode>();
  const camera = sampleCamera(
    {
      serialNumber: options.serial,
      store,
      bufferBytes: options.buffer,
      clockOffsetMs: options.clockOffset ?? (isOnDevice ? 0 : 4200),
      clockDriftPpm: options.drift ?? (isOnDevice ? 0 : 20),
      // A key that follows from a public number proves nothing: on a real port it comes from a file or not at all.
      hasKey: options.keyFile !== undefined || (options.key && !isOnDevice),
      ...(options.keyFile !== undefined && { keySeed: readKey(options.keyFile) }),
      faults: options.fault,
      storageModes: options.storageMode,
      onModeSwitch: switching.resolve,
    },
    systemClock,
  );
  const { line, served } = await serveOn(options, camera);
  const unplug = (): void => void line[Symbol.asyncDispose]().then(() => process.exit(0));
  process.once('SIGINT', unplug).once('SIGTERM', unplug);
  process.stdout.write(`camera ${options.serial} with ${store.list().length} recordings on ${line.name}\n`);
  const mode = await Promise.race([switching.promise, served]);
  if (mode === undefined) return;
  await systemClock.sleep(switchDelayMs);
  process.stdout.write(`${JSON.stringify({ modeSwitch: mode, serialNumber: options.serial })}\n`);
  await line[Symbol.asyncDispose]();
  if (options.onModeSwitch !== undefined) await runHook(options.onModeSwitch, mode, options.serial);
}

async function serveOn(
  options: Options,
  camera: SimulatedCamera,
): Promise<{ line: AsyncDisposable & { readonly name: string }; served: Promise<void> }> {
  if (options.hid !== undefined) {
    const pipe = await openHidGadget(options.hid, systemClock, { reportBytes: options.reportBytes });
    return { line: pipe, served: serveCameraOverHid(camera, pipe, systemRandom) };
  }
  const link = options.port
    ? await openSerialPort(options.port, { ...defaultSerialLine, baudRate: options.baud })
    : openPty(options.link);
  return { line: link, served: serveCamera(camera, link, systemRandom) };
}

/** Its exit status becomes ours. */
function runHook(command: string, mode: StorageMode, serialNumber: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const hook = spawn('sh', ['-c', command], {
      stdio: 'inherit',
      env: { ...process.env, DOCK_CAMERA_MODE: mode, DOCK_CAMERA_SERIAL: serialNumber },
    });
    hook.once('error', reject).once('exit', (status) => {
      process.exitCode = status ?? 1;
      resolve();
    });
  });
}

main().catch((error: unknown) => {
  const { code, message } = asDockError(error);
  process.stderr.write(`simulate:camera: ${message} [${code}]\n`);
  process.exit(1);
});
