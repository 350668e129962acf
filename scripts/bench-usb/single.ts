import { labDisk, scratchFolder } from '../../test/usb/lab.ts';
import { startHelper } from '../bench/helper-process.ts';
import { atLeast, median, percent, withSpread, type BenchReport } from '../bench/report.ts';
import { benchCamera, fillStorage } from './bench-cameras.ts';
import { guestLoad, guestShare, type GuestShare } from './guest-load.ts';
import type { LinkJob, LinkResult, LinkTask } from './link-worker.ts';
import { gibibyte, mebibyte, megabytesPerSecond, recordingName, type UsbBenchTask } from './task.ts';

const aimedShare = 0.95;

interface Round {
  readonly raw: LinkResult & { readonly load: GuestShare };
  readonly whole: LinkResult & { readonly load: GuestShare };
  readonly ingest: LinkResult & { readonly load: GuestShare };
}

/** One camera: the durable, verified ingest next to the same windows thrown away. */
export async function benchSingle(task: UsbBenchTask, say: (text: string) => void): Promise<BenchReport> {
  const sizeBytes = task.recordingMib * mebibyte;
  await using storage = await scratchFolder();
  await fillStorage(storage.path, { [`DCIM/${recordingName}`]: sizeBytes });
  await using camera = await benchCamera({ udc: 0, serialNumber: 'SINGLE-1', folder: storage.path });
  await camera.plug();
  await using station = await scratchFolder(labDisk);
  const workerTask: LinkTask = { folder: station.path };
  await using worker = startHelper<LinkResult>('../bench-usb/link-worker.ts', workerTask);
  const measure = async (kind: LinkJob['kind']): Promise<Round['raw']> => {
    const before = guestLoad();
    const job: LinkJob = { kind, ports: [camera.portPath] };
    worker.tell(JSON.stringify(job));
    return { ...(await worker.next()), load: guestShare(before) };
  };
  // Says how a recording is cut into windows, and makes everything warm.
  await measure('ingest');
  const rounds: Round[] = [];
  for (let round = 1; round <= task.rounds; round++) {
    say(`single: round ${round} of ${task.rounds}, ${task.recordingMib} MiB`);
    // Who goes first changes, so that what drifts on a busy machine takes turns too.
    const early = round % 2 === 0 ? await measure('ingest') : undefined;
    const [raw, whole] = [await measure('raw'), await measure('whole')];
    rounds.push({ raw, whole, ingest: early ?? (await measure('ingest')) });
  }
  return report(rounds, sizeBytes);
}

function report(rounds: readonly Round[], sizeBytes: number): BenchReport {
  const rate = ({ bytes, wallSeconds }: LinkResult): number => megabytesPerSecond(bytes, wallSeconds);
  const transferRate = ({ bytes, ingest }: LinkResult): number =>
    megabytesPerSecond(bytes, ingest?.transferSeconds ?? Number.NaN);
  const perGib = (seconds: number): number => (seconds * gibibyte) / sizeBytes;
  const ways = [
    { way: 'windows, thrown away', of: ({ raw }: Round) => raw, rate, isLimit: true },
    { way: 'GetObject, thrown away', of: ({ whole }: Round) => whole, rate },
    { way: 'ingest, until the last byte is written', of: ({ ingest }: Round) => ingest, rate: transferRate },
    { way: 'ingest, until it is proven', of: ({ ingest }: Round) => ingest, rate },
  ].map(({ way, of, rate: rateOf, isLimit = false }) => {
    const isTransfer = rateOf === transferRate;
    const results = rounds.map(of);
    return {
      way,
      isLimit,
      megabytesPerSecond: results.map(rateOf),
      ofRaw: rounds.map((round) => rateOf(of(round)) / rate(round.raw)),
      cpuSecondsPerGib: results.map(({ ingest, cpuSeconds }) =>
        perGib(isTransfer ? (ingest?.transferCpuSeconds ?? Number.NaN) : cpuSeconds),
      ),
      guestBusy: isTransfer ? [] : results.map(({ load }) => load.busy),
      responders: isTransfer ? [] : results.map(({ load }) => load.responders),
    };
  });
  const transfer = ways[2]!;
  const proven = ways[3]!;
  return {
    title: `One camera: ${rounds.length} rounds of ${sizeBytes / mebibyte} MiB, median (span)`,
    head: ['WAY', 'MB/s', 'OF THE WINDOWS', 'CPU s/GiB', 'CORES BUSY', 'OF THAT umtprd'],
    right: [1, 2, 3, 4, 5],
    rows: ways.map((way) => [
      way.way,
      withSpread(way.megabytesPerSecond, 1),
      way.isLimit ? '' : withSpread(way.ofRaw),
      withSpread(way.cpuSecondsPerGib, 1),
      way.guestBusy.length === 0 ? '' : percent(median(way.guestBusy), 0),
      way.responders.length === 0 ? '' : percent(median(way.responders), 0),
    ]),
    aims: [
      atLeast('transfer, of the same windows thrown away', median(transfer.ofRaw), aimedShare),
      atLeast('whole, of the same windows thrown away', median(proven.ofRaw), aimedShare),
    ],
    notes: [
      `windows: ${rounds[0]?.raw.windows}`,
      `of the ingest, ${breakdown(rounds)}`,
      'until it is proven: the last sync, leaving the cache, reading back from the disk, hashing again, commit',
      'CPU of the host side alone; kernel work that the emulated bus does in interrupts may be booked on anyone',
      'CORES BUSY is of all cores of the emulated machine: at 100 % every step counts, also one beside the transfer',
    ],
    figures: { sizeBytes, ways, rounds },
  };
}

function breakdown(rounds: readonly Round[]): string {
  const results = rounds.flatMap(({ ingest: { ingest, wallSeconds } }) =>
    ingest ? [{ ...ingest, wallSeconds }] : [],
  );
  const of = (key: keyof (typeof results)[number]): number => median(results.map((each) => each[key]));
  const seconds = (value: number): string => `${value.toFixed(2)} s`;
  const beside = of('wallSeconds') - of('transferSeconds');
  return [
    `${seconds(of('wallSeconds'))}: transfer ${seconds(of('transferSeconds'))}`,
    `in it waiting for the camera ${seconds(of('waitedForCamera'))}, append ${seconds(of('append'))}`,
    `sync ${seconds(of('sync'))} in all; after it ${seconds(beside)}`,
    `in that leaving the cache ${seconds(of('dropCache'))}, reading back ${seconds(of('readBack'))}`,
  ].join('; ');
}
