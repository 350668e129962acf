import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'smol-toml';
import { systemClock } from '../../dock/host/system-clock.ts';
import { labProfiles } from '../../test/usb/lab-cameras.ts';
import { labDisk, portPathOfUdc, scratchFolder } from '../../test/usb/lab.ts';
import { startHelper, type HelperProcess } from '../bench/helper-process.ts';
import { atMost, median, withSpread, type BenchReport } from '../bench/report.ts';
import { benchCamera, fillStorage } from './bench-cameras.ts';
import { monotonicMs, plugSteps, type PlugMessage, type PlugStep, type PlugTask } from './plug-worker.ts';
import { recordingName, type UsbBenchTask } from './task.ts';

const aimedMs = 1000;
/** One read brings all of it, so that its end is its first byte. */
const recordingBytes = 4096;
const bayCount = 8;

/** Between the steps of the host, what happens there. */
const meaning: Readonly<Record<PlugStep, string>> = {
  seen: 'address given → the bay looks (watch of sysfs every 250 ms)',
  settled: 'settle: twice the same, 300 ms apart',
  claimed: 'recognise, open the device, claim its interface',
  opened: 'ladder (200 ms of listening), OpenSession, DeviceInfo, clock property',
  enrolled: 'session and enrolment in the database, health',
  listed: 'storages, folders, objects',
  asked: 'plan, intake, confirm the object',
  first: 'first window asked for → its first bytes',
};

interface Plug {
  /** UDC bound → address in sysfs. */
  readonly enumerationMs: number;
  /** Each step since the one before; the first since the address. */
  readonly stepMs: Readonly<Record<PlugStep, number>>;
  /** Address in sysfs → first bytes of the recording. */
  readonly firstByteMs: number;
}

/** How long a person waits, from pushing a camera into its bay until its recordings flow. */
export async function benchPlug(
  task: UsbBenchTask,
  say: (text: string) => void,
  helperSocket: string,
): Promise<BenchReport> {
  await using station = await scratchFolder(labDisk);
  const workerTask: PlugTask = { configFile: await writeStation(station.path, helperSocket) };
  await using worker = startHelper<PlugMessage>('../bench-usb/plug-worker.ts', workerTask);
  await worker.next();
  const plugs: Plug[] = [];
  for (let plug = 0; plug <= task.plugs; plug++) {
    say(plug === 0 ? 'plug: one to warm up' : `plug: ${plug} of ${task.plugs}`);
    const one = await plugOne(worker, plug);
    if (plug > 0) plugs.push(one);
  }
  return report(plugs);
}

/** A camera that was never here before, with one recording. */
async function plugOne(worker: HelperProcess<PlugMessage>, index: number): Promise<Plug> {
  await using storage = await scratchFolder();
  await fillStorage(storage.path, { [`DCIM/${recordingName}`]: recordingBytes });
  const options = { udc: index % bayCount, serialNumber: `PLUG-${index}`, folder: storage.path };
  await using camera = await benchCamera(options);
  // At another place in the rhythm of the watch each time.
  await systemClock.sleep(500 + ((index * 67) % 250));
  const boundMs = monotonicMs();
  await writeFile(join(camera.folder, 'UDC'), `dummy_udc.${options.udc}`);
  while (!(await camera.isOnBus())) await systemClock.sleep(1);
  const addressMs = monotonicMs();
  const at = new Map<PlugStep, number>();
  while (!at.has('first')) {
    const message = await worker.next();
    // Other bays are looked at as well, and a device may be seen before it is whole: the last of each step counts.
    if (message.kind === 'step' && !(message.step === 'seen' && at.has('seen')))
      at.set(message.step, message.atMs);
  }
  await systemClock.sleep(500); // until it is stored: the camera stays in its bay
  const entries = plugSteps.map((step, place): [PlugStep, number] => {
    const before = place === 0 ? addressMs : at.get(plugSteps[place - 1] ?? step);
    return [step, (at.get(step) ?? Number.NaN) - (before ?? Number.NaN)];
  });
  return {
    enumerationMs: addressMs - boundMs,
    stepMs: Object.fromEntries(entries) as Plug['stepMs'],
    firstByteMs: (at.get('first') ?? Number.NaN) - addressMs,
  };
}

async function writeStation(folder: string, helperSocket: string): Promise<string> {
  const profiles = join(folder, 'profiles');
  await mkdir(profiles);
  for (const profile of labProfiles)
    await writeFile(join(profiles, `${profile.name}.toml`), stringify(profile));
  const ports = await Promise.all(Array.from({ length: bayCount }, (_, udc) => portPathOfUdc(udc)));
  const config = {
    post: { headcount: 1000 },
    state: { folder: 'state' },
    clock: { station_clock: 'trusted' },
    broker: { embedded_port: 0 },
    cameras: { profiles: 'profiles' },
    usb: { helper_socket: helperSocket },
    bay: ports.map((port, index) => ({ number: index + 1, usb_port: port })),
  };
  const file = join(folder, 'config.toml');
  await writeFile(file, stringify(config));
  return file;
}

function report(plugs: readonly Plug[]): BenchReport {
  const firstByteMs = plugs.map((plug) => plug.firstByteMs);
  const rows = plugSteps.map((step) => [
    meaning[step],
    withSpread(
      plugs.map(({ stepMs }) => stepMs[step]),
      0,
    ),
  ]);
  return {
    title: `Plugged in: milliseconds until the first bytes of a recording, ${plugs.length} cameras, median (span)`,
    head: ['STEP', 'ms'],
    right: [1],
    rows: [
      [
        '(pushed in → address given, by the kernel)',
        withSpread(
          plugs.map((plug) => plug.enumerationMs),
          0,
        ),
      ],
      ...rows,
      ['address given → first bytes', withSpread(firstByteMs, 0)],
    ],
    aims: [
      atMost(
        'address given → first bytes',
        median(firstByteMs),
        aimedMs,
        (value) => `${value.toFixed(0)} ms`,
      ),
    ],
    notes: [
      `each camera is a new one, and is enrolled; one recording of ${recordingBytes} bytes; 8 bays, the others empty or done`,
      'the agent with its own parts, as root; what a step takes beside the waiting is stretched by the emulation',
    ],
    figures: { plugs },
  };
}
