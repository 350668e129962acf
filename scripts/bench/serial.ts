import { createHash } from 'node:crypto';
import { consoleTransport, defaultConsoleOptions } from '../../dock/camera/console-transport.ts';
import { openSmpCamera } from '../../dock/camera/smp-camera.ts';
import { defaultSerialLine, openSerialPort } from '../../dock/host/serial-port.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { encodeRequest, parseAnswer } from '../../protocol/smp/command.ts';
import { encodeConsoleFrame } from '../../protocol/smp/console-frame.ts';
import { fsDownload } from '../../protocol/smp/fs-group.ts';
import { decodeSmpMessage, encodeSmpMessage } from '../../protocol/smp/message.ts';
import { startHelper } from './helper-process.ts';
import { atLeast, percent, type BenchOptions, type BenchReport } from './report.ts';
import { sampleBytes } from './sample-bytes.ts';
import {
  benchCamera,
  recordingPath,
  type SerialCameraReady,
  type SerialCameraTask,
} from './serial-camera.ts';
import { hasZmodem, zmodemSeconds } from './zmodem.ts';

const baudRates = [115_200, 921_600] as const;
const buffers = [384, 2048] as const;
const aimedShareOfCeiling = 0.95;
/** Start bit, eight data bits, stop bit. */
const bitsPerByte = 10;
const zmodemWay = 'ZMODEM (sz, rz)';

interface SerialFigure {
  readonly baudRate: number;
  readonly way: string;
  readonly bufferBytes: number | null;
  readonly fileBytes: number;
  readonly seconds: number;
  readonly bytesPerSecond: number;
  readonly shareOfLine: number;
  /** What the framing leaves of the line; null where the framing is not ours. */
  readonly ceilingShareOfLine: number | null;
  readonly shareOfCeiling: number | null;
}

/** File bytes per second over a rate-limited line, next to what framing and line allow and to ZMODEM. */
export async function benchSerial(options: BenchOptions): Promise<BenchReport> {
  const { isQuick, say } = options;
  const figures: SerialFigure[] = [];
  const notes = [
    'the line is two token buckets of bit rate / 10 bytes/s, one each way; a file is timed from the request to its last byte',
    'ceiling: file bytes per byte of the download answers, from the real encoder; with two requests in flight the requests cost nothing',
  ];
  const isZmodemThere = hasZmodem();
  if (!isZmodemThere) notes.push('skipped ZMODEM (sz/rz): not installed; apt-get install lrzsz');

  for (const baudRate of baudRates) {
    const lineBytesPerSecond = baudRate / bitsPerByte;
    const seconds = isQuick ? 3 : baudRate === 115_200 ? 12 : 7;
    const task = {
      bytesPerSecond: lineBytesPerSecond,
      sizeBytes: Math.round((lineBytesPerSecond * seconds * 0.7) / 1000) * 1000,
    };
    const add = (way: string, elapsed: number, buffer?: { bytes: number; ceiling: number }): void => {
      const shareOfLine = task.sizeBytes / elapsed / lineBytesPerSecond;
      figures.push({
        baudRate,
        way,
        bufferBytes: buffer?.bytes ?? null,
        fileBytes: task.sizeBytes,
        seconds: elapsed,
        bytesPerSecond: task.sizeBytes / elapsed,
        shareOfLine,
        ceilingShareOfLine: buffer?.ceiling ?? null,
        shareOfCeiling: buffer ? shareOfLine / buffer.ceiling : null,
      });
    };
    say(`serial: ${baudRate} bit/s, ${task.sizeBytes} bytes, bare line`);
    add('bare line', await bareSeconds(task, options.signal));
    for (const bytes of buffers) {
      say(`serial: ${baudRate} bit/s, ${task.sizeBytes} bytes, SMP with buffer ${bytes}`);
      const ceiling = framingCeiling(task.sizeBytes, bytes);
      add('SMP over console', await smpSeconds({ ...task, bufferBytes: bytes }, options.signal), {
        bytes,
        ceiling,
      });
    }
    if (!isZmodemThere) continue;
    say(`serial: ${baudRate} bit/s, ${task.sizeBytes} bytes, ZMODEM`);
    const zmodem = { bytesPerSecond: lineBytesPerSecond, folder: options.folder, signal: options.signal };
    add(zmodemWay, await zmodemSeconds(sampleBytes(task.sizeBytes), zmodem));
  }
  return report(figures, notes);
}

function report(figures: readonly SerialFigure[], notes: readonly string[]): BenchReport {
  const ofZmodem = ({ baudRate, shareOfLine }: SerialFigure): string => {
    const peer = figures.find((figure) => figure.baudRate === baudRate && figure.way === zmodemWay);
    return peer ? percent(shareOfLine / peer.shareOfLine) : '-';
  };
  return {
    title: 'Serial: file bytes per second as a share of the line',
    head: [
      'BIT/S',
      'WAY',
      'BUFFER',
      'FILE',
      'TIME',
      'BYTES/S',
      'OF LINE',
      'CEILING',
      'OF CEILING',
      'OF ZMODEM',
    ],
    right: [0, 2, 3, 4, 5, 6, 7, 8, 9],
    rows: figures.map((figure) => [
      String(figure.baudRate),
      figure.way,
      figure.bufferBytes === null ? '' : String(figure.bufferBytes),
      String(figure.fileBytes),
      `${figure.seconds.toFixed(2)} s`,
      String(Math.round(figure.bytesPerSecond)),
      percent(figure.shareOfLine),
      figure.ceilingShareOfLine === null ? '' : percent(figure.ceilingShareOfLine),
      figure.shareOfCeiling === null ? '' : percent(figure.shareOfCeiling),
      figure.shareOfCeiling === null ? '' : ofZmodem(figure),
    ]),
    aims: figures.flatMap(({ baudRate, bufferBytes, shareOfCeiling }) =>
      bufferBytes === 2048 && shareOfCeiling !== null
        ? [atLeast(`of the ceiling at buffer 2048, ${baudRate} bit/s`, shareOfCeiling, aimedShareOfCeiling)]
        : [],
    ),
    notes,
    figures: { runs: figures },
  };
}

/** File bytes per byte on the wire from the camera, over all chunks of the file. */
function framingCeiling(sizeBytes: number, bufferBytes: number): number {
  const { server } = benchCamera(sizeBytes, bufferBytes);
  let wireBytes = 0;
  for (let off = 0; off < sizeBytes;) {
    const request = encodeRequest(fsDownload, { off, name: recordingPath }, 0);
    const [answer = new Uint8Array()] = server.answer(encodeSmpMessage(request));
    const parsed = parseAnswer(fsDownload, decodeSmpMessage(answer).message);
    if (parsed.kind !== 'ok' || parsed.body.data.length === 0) throw new Error('the camera has no such file');
    wireBytes += encodeConsoleFrame(answer).reduce((sum, line) => sum + line.length, 0);
    off += parsed.body.data.length;
  }
  return sizeBytes / wireBytes;
}

/** The way of the agent: serial port, console framing, SMP client, camera. */
async function smpSeconds(task: SerialCameraTask, signal: AbortSignal): Promise<number> {
  await using helper = startHelper<SerialCameraReady>('serial-camera.ts', task);
  const { path } = await helper.next();
  const { bytesPerSecond } = task;
  const link = await openSerialPort(path, { ...defaultSerialLine, baudRate: bytesPerSecond * bitsPerByte });
  const transport = consoleTransport(link, systemClock, { ...defaultConsoleOptions, bytesPerSecond });
  await using camera = await openSmpCamera(transport, systemClock, signal);
  const [recording] = await Array.fromAsync(camera.recordings(signal));
  if (!recording) throw new Error('the camera lists nothing');
  const hash = createHash('sha256');
  const startedMs = performance.now();
  for await (const chunk of camera.read(recording, 0, signal)) hash.update(chunk);
  const seconds = (performance.now() - startedMs) / 1000;
  const sent = createHash('sha256').update(sampleBytes(task.sizeBytes)).digest('hex');
  if (hash.digest('hex') !== sent) throw new Error('SMP delivered other bytes');
  return seconds;
}

/** Bytes without any protocol: what the limiter lets through, to see that it is neither leaky nor slow. */
async function bareSeconds(task: SerialCameraTask, signal: AbortSignal): Promise<number> {
  await using helper = startHelper<SerialCameraReady>('serial-camera.ts', task);
  const { path } = await helper.next();
  await using link = await openSerialPort(path, {
    ...defaultSerialLine,
    baudRate: task.bytesPerSecond * bitsPerByte,
  });
  const arrived = Promise.withResolvers<void>();
  const onAbort = (): void => arrived.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  let count = 0;
  link.onBytes((chunk) => {
    count += chunk.length;
    if (count >= task.sizeBytes) arrived.resolve();
  });
  const startedMs = performance.now();
  helper.tell('send');
  await arrived.promise;
  signal.removeEventListener('abort', onAbort);
  return (performance.now() - startedMs) / 1000;
}
