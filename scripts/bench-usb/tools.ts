import { randomBytes } from 'node:crypto';
import { copyFile, glob, mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemClock } from '../../dock/host/system-clock.ts';
import {
  attributeOf,
  hubPorts,
  labDisk,
  labExchange,
  run,
  scratchFolder,
  setAuthorized,
  until,
  usbDevices,
} from '../../test/usb/lab.ts';
import { atLeast, median, times, withSpread, type BenchReport } from '../bench/report.ts';
import { gibibyte, mebibyte, megabytesPerSecond, recordingName, type UsbBenchTask } from './task.ts';
import { timedCommand, type CommandTimes } from './timed-command.ts';
import type { CutIngest, ToolsJob } from './tools-worker.ts';

/** What QEMU's camera on a port of its own shows (boot.sh), read anew in each session. */
const shownFolder = join(labExchange, 'qemu-bench/DCIM');
const settleMs = 500;
const largeCount = 3;
/** A second size tells the time per byte from that of starting a program and opening a session. */
const smallPart = 1 / 8;

type SizeName = 'large' | 'small';
type Round = Readonly<Record<SizeName, CopyTimes>>;

interface CopyTimes extends CommandTimes {
  /** From opening the camera on, where the program tells: without its start. */
  readonly openedSeconds?: number;
}

interface Recording {
  readonly size: SizeName;
  readonly sizeBytes: number;
  /** Where it waits for its turn on the camera. */
  readonly path: string;
  readonly sha256: string;
}

/** One way of bringing the recording on the camera onto a disk, in fresh processes, from start to end. */
interface Way {
  readonly name: string;
  readonly copy: (size: SizeName) => Promise<CopyTimes>;
  /** Where the copy is then; without it the bytes are thrown away. */
  readonly copied?: () => Promise<string>;
  readonly rounds: Round[];
}

/**
 * QEMU's own camera at high speed: the ingest next to what a script would do, fetch a file with a tool, sync it and hash
 * it. umtprd 1.3.10 will not do: these tools cannot read it.
 */
export async function benchTools(task: UsbBenchTask, say: (text: string) => void): Promise<BenchReport> {
  const largeBytes = task.recordingMib * mebibyte;
  const smallBytes = largeBytes * smallPart;
  await using _alone = await onlyBenchCamera();
  const portPath = await benchPort();
  await using waiting = await scratchFolder(labExchange);
  const larges: Recording[] = [];
  for (let index = 0; index < largeCount; index++) {
    larges.push(await makeRecording(join(waiting.path, `large-${index}`), 'large', largeBytes));
  }
  const small = await makeRecording(join(waiting.path, 'small'), 'small', smallBytes);
  await using station = await scratchFolder(labDisk);
  await using drivers = await mtpDriverOnly();
  const gphoto2AtStart = gphoto2(portPath, join(station.path, 'fetched'));
  const ways: readonly Way[] = [
    ingest(portPath, station.path),
    thrownAway(portPath, station.path),
    mtpGetfile(join(station.path, 'fetched')),
    gphoto2(portPath, join(station.path, 'fetched'), drivers.path),
  ];
  const failed: string[] = [];
  const measure = async (way: Way, recording: Recording): Promise<CopyTimes | undefined> => {
    // What failed once fails again, after minutes of waiting each time.
    if (failed.some((text) => text.startsWith(way.name))) return undefined;
    try {
      return await checkedCopy(way, recording);
    } catch (error) {
      failed.push(`${way.name} failed: ${tail(error)}`);
      say(failed.at(-1) ?? '');
      return undefined;
    }
  };

  say(`tools: everything once, so that it is warm`);
  const asInstalled = await onCamera(small, () => measure(gphoto2AtStart, small));
  // The ingest first: it says how the windows are cut.
  for (const recording of [small, ...larges.slice(0, 1)]) {
    await onCamera(recording, async () => {
      for (const way of ways) await measure(way, recording);
    });
  }
  for (let round = 0; round < task.rounds; round++) {
    say(`tools: round ${round + 1} of ${task.rounds}, ${task.recordingMib} MiB`);
    // Who goes first changes, so that what drifts on a busy machine takes turns too.
    const turns = [...ways.slice(round % ways.length), ...ways.slice(0, round % ways.length)];
    const large = larges[round % largeCount]!;
    const taken = new Map<Way, Partial<Record<SizeName, CopyTimes>>>(turns.map((way) => [way, {}]));
    for (const recording of [small, large]) {
      await onCamera(recording, async () => {
        for (const way of turns) {
          const found = await measure(way, recording);
          if (found) taken.set(way, { ...taken.get(way), [recording.size]: found });
        }
      });
    }
    for (const [way, { small: ofSmall, large: ofLarge }] of taken) {
      if (ofSmall && ofLarge) way.rounds.push({ small: ofSmall, large: ofLarge });
    }
  }
  return report({ ways, failed, largeBytes, smallBytes, asInstalled });
}

/** The tools take the first camera they find: the one behind the hubs must be away. */
async function onlyBenchCamera(): Promise<AsyncDisposable> {
  const { hub, camera } = await hubPorts();
  const outerHub = hub.slice(0, hub.lastIndexOf('.'));
  await setAuthorized(outerHub, false);
  await until('the other camera to be gone', async () => {
    const name = await attributeOf(join(usbDevices, camera), 'busnum');
    return name === undefined;
  });
  return { [Symbol.asyncDispose]: () => setAuthorized(outerHub, true) };
}

async function benchPort(): Promise<string> {
  const { hub } = await hubPorts();
  const portPath = `${hub.slice(0, hub.indexOf('-'))}-2`;
  const speed = await attributeOf(join(usbDevices, portPath), 'speed');
  if (speed !== '480') throw new Error(`the camera on ${portPath} has speed ${speed}, not 480`);
  return portPath;
}

async function makeRecording(path: string, size: SizeName, sizeBytes: number): Promise<Recording> {
  {
    await using file = await open(path, 'wx');
    for (let written = 0; written < sizeBytes; written += mebibyte) {
      await file.write(randomBytes(Math.min(mebibyte, sizeBytes - written)));
    }
  }
  return { size, sizeBytes, path, sha256: await sha256Of(path) };
}

/** Puts a recording on the camera for as long as the work takes; nobody has a session open then. */
async function onCamera<T>({ path }: Recording, work: () => Promise<T>): Promise<T> {
  await mkdir(shownFolder, { recursive: true });
  const shown = join(shownFolder, recordingName);
  await rename(path, shown);
  try {
    return await work();
  } finally {
    await rename(shown, path);
  }
}

async function checkedCopy(way: Way, { size, sha256 }: Recording): Promise<CopyTimes> {
  // What was written before is no work of this one; and as a bay waits before it touches a device.
  await run('sync');
  await systemClock.sleep(settleMs);
  const found = await way.copy(size);
  if (!way.copied) return found;
  const path = await way.copied();
  const copiedSha256 = await sha256Of(path);
  await rm(path);
  if (copiedSha256 !== sha256) throw new Error(`copied ${copiedSha256} instead of ${sha256}`);
  return found;
}

async function sha256Of(path: string): Promise<string> {
  return (await run('sha256sum', path)).slice(0, 64);
}

function ingest(portPath: string, stationFolder: string): Way {
  const folder = join(stationFolder, 'ingest');
  return {
    name: 'ingest, proven',
    copy: async (size) => {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder);
      const file = windowsFile(stationFolder, size);
      const found = await timedWorker({ kind: 'ingest', portPath, folder, windowsFile: file });
      const { openedSeconds } = JSON.parse(await readFile(file, 'utf8')) as CutIngest;
      return { ...found, openedSeconds };
    },
    copied: async () => {
      const entries = await readdir(join(folder, 'vault'), { recursive: true });
      const stored = entries.filter((path) => path.endsWith('.MP4'));
      if (stored.length !== 1) throw new Error(`in the vault: ${entries.join(', ')}`);
      return join(folder, 'vault', stored[0]!);
    },
    rounds: [],
  };
}

function thrownAway(portPath: string, stationFolder: string): Way {
  return {
    name: 'its windows, thrown away',
    copy: (size) =>
      timedWorker({
        kind: 'raw',
        portPath,
        folder: stationFolder,
        windowsFile: windowsFile(stationFolder, size),
      }),
    rounds: [],
  };
}

function windowsFile(folder: string, size: SizeName): string {
  return join(folder, `windows-${size}.json`);
}

function timedWorker(job: ToolsJob): Promise<CommandTimes> {
  const worker = join(import.meta.dirname, 'tools-worker.ts');
  return timedCommand([process.execPath, ...process.execArgv, worker, JSON.stringify(job)]);
}

function mtpGetfile(target: string): Way {
  let known: string | undefined;
  return {
    name: 'mtp-getfile + sync + sha256sum',
    // QEMU counts its objects anew in each session, and there is but one recording: its id stays.
    copy: async () => fetched(['mtp-getfile', (known ??= await objectId()), target], target),
    copied: () => Promise.resolve(target),
    rounds: [],
  };
}

/** Asks the camera on the bus; mtp-getfile cannot fetch by name. */
async function objectId(): Promise<string> {
  const listing = await run('timeout', '120', 'mtp-files');
  for (const [, id = '', file = ''] of listing.matchAll(/File ID: (\d+)\s+Filename: (.+)/g)) {
    if (file.trim() === recordingName) return id;
  }
  throw new Error(`mtp-files does not list ${recordingName}: ${listing}`);
}

function gphoto2(portPath: string, target: string, driverFolder?: string): Way {
  return {
    name: driverFolder === undefined ? 'gphoto2 as installed' : 'gphoto2 + sync + sha256sum',
    copy: async () =>
      fetched(
        [
          // It writes into the folder it was started in before it renames; where it cannot, it ends
          // as if all were well.
          'env',
          `--chdir=${dirname(target)}`,
          ...(driverFolder === undefined ? [] : [`CAMLIBS=${driverFolder}`]),
          'gphoto2',
          `--port=usb:${await padded(portPath, 'busnum')},${await padded(portPath, 'devnum')}`,
          '--folder=/store_00010001/DCIM',
          `--get-file=${recordingName}`,
          `--filename=${target}`,
          '--force-overwrite',
          '--quiet',
        ],
        target,
      ),
    copied: () => Promise.resolve(target),
    rounds: [],
  };
}

async function fetched(command: readonly string[], target: string): Promise<CommandTimes> {
  const steps: CommandTimes[] = [];
  for (const step of [command, ['sync', target], ['sha256sum', target]]) steps.push(await timedCommand(step));
  const sum = (key: keyof CommandTimes): number => steps.reduce((total, step) => total + step[key], 0);
  return { wallSeconds: sum('wallSeconds'), cpuSeconds: sum('cpuSeconds') };
}

async function padded(portPath: string, attribute: 'busnum' | 'devnum'): Promise<string> {
  return (await attributeOf(join(usbDevices, portPath), attribute))?.padStart(3, '0') ?? '';
}

/** A folder for gphoto2 with its driver for PTP alone. */
async function mtpDriverOnly() {
  const folder = await scratchFolder();
  for await (const path of glob('/usr/lib/*/libgphoto2/*/ptp2.so')) {
    await copyFile(path, join(folder.path, 'ptp2.so'));
  }
  return folder;
}

function tail(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, ' ').trim().slice(-400);
}

function report(found: {
  ways: readonly Way[];
  failed: readonly string[];
  largeBytes: number;
  smallBytes: number;
  asInstalled: CommandTimes | undefined;
}): BenchReport {
  const { failed, largeBytes, smallBytes, asInstalled } = found;
  const between = largeBytes - smallBytes;
  const ways = found.ways
    .filter(({ rounds }) => rounds.length > 0)
    .map(({ name, copied, rounds }) => {
      // Each large one with each small one, as what drifts can be more than what a few bytes take.
      const pairs = rounds.flatMap(({ large }) => rounds.map(({ small }) => ({ large, small })));
      const slopes = pairs.map(({ large, small }) => large.wallSeconds - small.wallSeconds);
      const isTold = Math.min(...slopes) > 0;
      return {
        name,
        isTool: copied !== undefined && name !== found.ways[0]?.name,
        wholeSeconds: rounds.map(({ large }) => large.wallSeconds),
        isTold,
        startSeconds: pairs.map(
          ({ small }, index) => small.wallSeconds - (slopes[index]! * smallBytes) / between,
        ),
        wholeRate: rounds.map(({ large }) => megabytesPerSecond(largeBytes, large.wallSeconds)),
        byteRate: slopes.map((seconds) => megabytesPerSecond(between, seconds)),
        wholeCpu: rounds.map(({ large }) => (large.cpuSeconds * gibibyte) / largeBytes),
        byteCpu: pairs.map(
          ({ large, small }) => ((large.cpuSeconds - small.cpuSeconds) * gibibyte) / between,
        ),
      };
    });
  const ours = ways.find(({ name }) => name === found.ways[0]?.name);
  const ratio = (key: 'wholeRate' | 'byteRate', way: (typeof ways)[number]): number =>
    median(ours?.[key] ?? []) / median(way[key]);
  const openedRates = (found.ways[0]?.rounds ?? []).map(({ large }) =>
    megabytesPerSecond(largeBytes, large.openedSeconds ?? Number.NaN),
  );
  const mib = (bytes: number): string => `${+(bytes / mebibyte).toFixed(3)} MiB`;
  return {
    title: `QEMU's camera at high speed, next to tools: ${ours?.wholeRate.length ?? 0} rounds of ${mib(largeBytes)}, median (span)`,
    head: [
      'WAY',
      'START s',
      'WHOLE MB/s',
      'INGEST IS',
      'PER BYTE MB/s',
      'INGEST IS',
      'CPU s/GiB',
      'PER BYTE s/GiB',
    ],
    right: [1, 2, 3, 4, 5, 6, 7],
    rows: ways.map((way) => [
      way.name,
      withSpread(way.startSeconds, 1),
      withSpread(way.wholeRate, 1),
      way === ours ? '' : times(ratio('wholeRate', way)),
      way.isTold ? withSpread(way.byteRate, 1) : 'not told',
      way === ours || !way.isTold || !ours?.isTold ? '' : times(ratio('byteRate', way)),
      withSpread(way.wholeCpu, 0),
      way.isTold ? withSpread(way.byteCpu, 0) : 'not told',
    ]),
    aims: ways
      .filter(({ isTool }) => isTool)
      .flatMap((way) => [
        atLeast(`whole, of ${way.name}`, ratio('wholeRate', way), 1),
        ...(way.isTold && ours?.isTold
          ? [atLeast(`per byte, of ${way.name}`, ratio('byteRate', way), 1)]
          : []),
      ]),
    notes: [
      ...failed,
      "all on QEMU's own responder, which reads files of the host: a peer comparison on that device, no rate of a camera",
      'WHOLE: a fresh process each, from its start to its end, with sync and sha256sum of the tools; hashes were compared',
      `PER BYTE: from what ${mib(largeBytes)} took more than ${mib(smallBytes)}; START: what is left for no bytes at all;` +
        ' not told: the rounds differ more than the sizes do',
      ...(openedRates.length > 0
        ? [
            `of the ingest, from opening the camera on, as in an agent that runs: ${withSpread(openedRates, 1)} MB/s`,
          ]
        : []),
      'sha256sum hashes what is still in memory, the ingest again what it reads back from the disk',
      'gphoto2 is given its PTP driver alone' +
        (asInstalled
          ? `; with all that are installed ${mib(smallBytes)} took ${asInstalled.wallSeconds.toFixed(1)} s, once`
          : ''),
    ],
    figures: { largeBytes, smallBytes, ways, rounds: found.ways, asInstalled },
  };
}
