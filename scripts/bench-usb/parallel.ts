import type { BaysAnswer } from '../../agent/cli/answers.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { labDisk, portPathOfUdc, scratchFolder } from '../../test/usb/lab.ts';
import type { LabStation } from '../../test/usb/lab-station.ts';
import { startHelper } from '../bench/helper-process.ts';
import { atLeast, atMost, percent, type BenchReport } from '../bench/report.ts';
import { benchCamera, fillStorage, type BenchCamera } from './bench-cameras.ts';
import { guestLoad, guestShare, processCpuSeconds, type GuestShare } from './guest-load.ts';
import type { LinkJob, LinkResult, LinkTask } from './link-worker.ts';
import { residentBytes, startStationAgent } from './station-agent.ts';
import { gibibyte, mebibyte, megabytesPerSecond, recordingName, type UsbBenchTask } from './task.ts';

const aimedBytesPerBay = 8 * mebibyte;
const bayCount = 8;
const warmUpBytes = 12 * mebibyte;
const pollMs = 100;
const startMs = 60_000;
const settleMs = 3000;
const patienceMs = 600_000;

interface Agent {
  readonly cameras: number;
  readonly seconds: number;
  readonly megabytesPerSecond: number;
  readonly cpuSecondsPerGib: number;
  /** Resident: warm and without a camera, and at its highest with all of them. */
  readonly emptyBytes: number;
  readonly peakBytes: number;
  readonly load: GuestShare;
}

type Raw = Pick<Agent, 'megabytesPerSecond' | 'cpuSecondsPerGib' | 'load'>;

/** Several cameras at once into one agent, next to the same windows of as many cameras thrown away. */
export async function benchParallel(
  task: UsbBenchTask,
  say: (text: string) => void,
  helperSocket: string,
): Promise<BenchReport> {
  await using storage = await scratchFolder();
  await fillStorage(storage.path, { [`DCIM/${recordingName}`]: task.cameraMib * mebibyte });
  const runs: { raw: Raw; agent: Agent }[] = [];
  for (const count of task.cameras) {
    say(`parallel: ${count} of ${bayCount}, ${task.cameraMib} MiB each, thrown away`);
    const raw = await withCameras(count, storage.path, discard);
    say(`parallel: ${count} of ${bayCount}, ${task.cameraMib} MiB each, the agent`);
    const agent = await withCameras(count, storage.path, (cameras) =>
      ingest(cameras, task.cameraMib * mebibyte, helperSocket),
    );
    runs.push({ raw, agent });
    say(
      `parallel: ${count}: ${raw.megabytesPerSecond.toFixed(1)} and ${agent.megabytesPerSecond.toFixed(1)} MB/s`,
    );
  }
  return report(runs, task);
}

async function withCameras<T>(
  count: number,
  folder: string,
  work: (cameras: readonly BenchCamera[]) => Promise<T>,
): Promise<T> {
  await using stack = new AsyncDisposableStack();
  const cameras: BenchCamera[] = [];
  for (let udc = 0; udc < count; udc++) {
    cameras.push(stack.use(await benchCamera({ udc, serialNumber: `PARALLEL-${udc}`, folder })));
  }
  return await work(cameras);
}

async function discard(cameras: readonly BenchCamera[]): Promise<Raw> {
  await using station = await scratchFolder(labDisk);
  const task: LinkTask = { folder: station.path };
  await using worker = startHelper<LinkResult>('../bench-usb/link-worker.ts', task);
  const measure = (kind: LinkJob['kind'], ports: readonly string[]): Promise<LinkResult> => {
    worker.tell(JSON.stringify({ kind, ports } satisfies LinkJob));
    return worker.next();
  };
  for (const camera of cameras) await camera.plug();
  const ports = cameras.map(({ portPath }) => portPath);
  await measure('ingest', ports.slice(0, 1));
  const before = guestLoad();
  const { bytes, wallSeconds, cpuSeconds } = await measure('raw', ports);
  const load = guestShare(before);
  for (const camera of cameras) await camera.unplug();
  const cpuSecondsPerGib = (cpuSeconds * gibibyte) / bytes;
  return { megabytesPerSecond: megabytesPerSecond(bytes, wallSeconds), cpuSecondsPerGib, load };
}

async function ingest(
  cameras: readonly BenchCamera[],
  cameraBytes: number,
  helperSocket: string,
): Promise<Agent> {
  const ports = await Promise.all(Array.from({ length: bayCount + 1 }, (_, udc) => portPathOfUdc(udc)));
  await using agent = await startStationAgent(ports, helperSocket);
  const { station, pid } = agent;
  await warmUp(station);
  await systemClock.sleep(settleMs);
  const { now: emptyBytes } = await residentBytes(pid);

  // Asleep while they come: it finds all of them there and starts on all of them at the same time.
  process.kill(pid, 'SIGSTOP');
  for (const camera of cameras) await camera.plug();
  const bays = cameras.map((_, index) => index + 1);
  process.kill(pid, 'SIGCONT');
  const first = await firstProgress(station, bays);
  const before = { ms: performance.now(), cpu: processCpuSeconds(pid), load: guestLoad() };
  await station.untilBays(bays, ['ready', 'attention', 'refused'], patienceMs);
  const seconds = (performance.now() - before.ms) / 1000;
  const load = guestShare(before.load);
  const cpuSeconds = processCpuSeconds(pid) - before.cpu;
  const { peak: peakBytes } = await residentBytes(pid);
  await station.untilBays(bays, ['ready'], 1000);
  for (const camera of cameras) await camera.unplug();
  const bytes = cameras.length * cameraBytes - first;
  return {
    cameras: cameras.length,
    seconds,
    megabytesPerSecond: megabytesPerSecond(bytes, seconds),
    cpuSecondsPerGib: (cpuSeconds * gibibyte) / bytes,
    emptyBytes,
    peakBytes,
    load,
  };
}

/** The first camera of all loads programs and compiles them, which no later one does again. */
async function warmUp(station: LabStation): Promise<void> {
  await using storage = await scratchFolder();
  await fillStorage(storage.path, { [`DCIM/${recordingName}`]: warmUpBytes });
  const options = { udc: bayCount, serialNumber: 'WARM-UP', folder: storage.path };
  await using camera = await benchCamera(options);
  await camera.plug();
  await station.untilBays([bayCount + 1], ['ready']);
}

/** Bytes received by these bays as soon as there are any. */
async function firstProgress(station: LabStation, bays: readonly number[]): Promise<number> {
  await station.untilBays(bays, ['pulling', 'ready', 'attention', 'refused'], startMs);
  const deadline = performance.now() + startMs;
  for (;;) {
    const { bays: states } = await station.ask<BaysAnswer>('bays');
    const done = states.reduce((sum, { bay, bytesDone }) => sum + (bays.includes(bay) ? bytesDone : 0), 0);
    if (done > 0) return done;
    if (performance.now() > deadline) throw new Error(`no bytes from any camera: ${JSON.stringify(states)}`);
    await systemClock.sleep(pollMs);
  }
}

function report(
  runs: readonly { raw: Raw; agent: Agent }[],
  { cameraMib, cameras }: UsbBenchTask,
): BenchReport {
  const fewest = runs[0]!;
  const most = runs.at(-1)!;
  const perBay = ({ cameras: count, emptyBytes, peakBytes }: Agent): number =>
    (peakBytes - emptyBytes) / count;
  const mib = (value: number): string => `${(value / mebibyte).toFixed(1)} MiB`;
  // What the first bay costs once is in every row; the slope between the rows is what one more bay costs.
  const slope = (most.agent.peakBytes - fewest.agent.peakBytes) / (most.agent.cameras - fewest.agent.cameras);
  const falls = most.agent.megabytesPerSecond / fewest.agent.megabytesPerSecond;
  return {
    title: `Cameras at once: ${cameras.join(', ')} of ${cameraMib} MiB each, into one agent`,
    head: [
      'CAMERAS',
      'THROWN AWAY MB/s',
      'AGENT MB/s',
      'EACH',
      'OF THROWN AWAY',
      'CPU s/GiB',
      'EMPTY',
      'PEAK',
      'PER BAY',
      'CORES BUSY',
      'OF THAT umtprd',
    ],
    right: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    rows: runs.map(({ raw, agent }) => [
      String(agent.cameras),
      raw.megabytesPerSecond.toFixed(1),
      agent.megabytesPerSecond.toFixed(1),
      (agent.megabytesPerSecond / agent.cameras).toFixed(1),
      percent(agent.megabytesPerSecond / raw.megabytesPerSecond, 0),
      agent.cpuSecondsPerGib.toFixed(1),
      mib(agent.emptyBytes),
      mib(agent.peakBytes),
      mib(perBay(agent)),
      percent(agent.load.busy, 0),
      percent(agent.load.responders, 0),
    ]),
    aims: [
      ...(most === fewest
        ? []
        : [atLeast(`in total, ${most.agent.cameras} cameras of ${fewest.agent.cameras}`, falls, 1)]),
      atMost(`resident per bay, ${most.agent.cameras} cameras`, perBay(most.agent), aimedBytesPerBay, mib),
    ],
    notes: [
      'AGENT: from the first bytes of any camera until the last recording is proven, read-back included',
      'EMPTY: after one camera has come and gone; PEAK: the highest since then',
      ...(most === fewest ? [] : [`one more bay costs ${mib(slope)}, by the slope between the peaks`]),
      'all cameras share one processor pair with the agent; on hardware each brings its own, and the bus is the limit',
    ],
    figures: { cameraMib, runs },
  };
}
