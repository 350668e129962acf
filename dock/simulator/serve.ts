import { decodeSmpMessage } from '../../protocol/smp/message.ts';
import type { HidPipe } from '../camera/hid-pipe.ts';
import type { RandomSource } from '../clock.ts';
import type { ByteLink } from '../link.ts';
import { consoleLine, hidLine, type CameraLine } from './camera-line.ts';
import type { CameraFaults } from './faults.ts';
import type { SmpServer } from './smp-server.ts';

const groupFs = 8;

/** The part of a simulated camera that the line needs. */
export interface ServedCamera {
  readonly faults: CameraFaults;
  readonly server: Pick<SmpServer, 'answer'>;
  /** Whether downloads must go unanswered. */
  readonly isStalled: boolean;
  /** Called when the answers to a request have been handed to the line. */
  answered?(): void;
}

/** Answers SMP over console on a link until it closes. */
export function serveCamera(camera: ServedCamera, link: ByteLink, random: RandomSource): Promise<void> {
  return serve(camera, consoleLine(link), random);
}

/** Answers SMP over HID until the pipe closes; the pipe is the device's end, whose `write` sends input reports. */
export function serveCameraOverHid(camera: ServedCamera, pipe: HidPipe, random: RandomSource): Promise<void> {
  return serve(camera, hidLine(pipe), random);
}

async function serve(camera: ServedCamera, line: CameraLine, random: RandomSource): Promise<void> {
  const faulty = new FaultyLine(camera, line, random);
  line.onMessage((message) => faulty.answer(message));
  await line.closed;
}

/**
 * The faults of the line (silence, loss, corruption, repeats, delays, forgeries, a pulled cable) happen here, whatever
 * the line is; those of the camera in SimulatedCamera.
 */
class FaultyLine {
  readonly #camera: ServedCamera;
  readonly #line: CameraLine;
  readonly #random: RandomSource;
  #heldBack: Uint8Array | undefined;
  #sentBytes = 0;
  #bytesToCorruption: number | undefined;

  constructor(camera: ServedCamera, line: CameraLine, random: RandomSource) {
    this.#camera = camera;
    this.#line = line;
    this.#random = random;
  }

  answer(frame: Uint8Array): void {
    const { faults } = this.#camera;
    if (faults.silent) return;
    if (this.#camera.isStalled && groupOf(frame) === groupFs) return;
    const sent: Promise<void>[] = [];
    for (const message of this.#camera.server.answer(frame)) {
      if (faults.logText) sent.push(...this.#sendAll(this.#line.textPieces(logText)));
      if (faults.forgeAnswers) sent.push(...this.#sendMessage(forged(message)));
      if (this.#happens(faults.delayOneIn) && !this.#heldBack) {
        this.#heldBack = message;
        continue;
      }
      sent.push(...this.#sendMessage(message));
      if (faults.repeatAnswers) sent.push(...this.#sendMessage(message));
      if (this.#heldBack) sent.push(...this.#sendMessage(this.#heldBack));
      this.#heldBack = undefined;
    }
    void Promise.all(sent).then(() => this.#camera.answered?.());
  }

  #sendMessage(message: Uint8Array): Promise<void>[] {
    return this.#sendAll(this.#line.pieces(message));
  }

  #sendAll(pieces: readonly Uint8Array[]): Promise<void>[] {
    return pieces
      .filter(() => !this.#happens(this.#camera.faults.loseOneIn))
      .map((piece) => this.#send(piece));
  }

  async #send(piece: Uint8Array): Promise<void> {
    const { faults } = this.#camera;
    const sent = faults.corruptOneByteIn ? this.#corrupted(piece, faults.corruptOneByteIn) : piece;
    const room = (faults.unplugAfterBytes ?? Infinity) - this.#sentBytes;
    this.#sentBytes += sent.length;
    const written = this.#line.write(room < sent.length ? sent.subarray(0, Math.max(0, room)) : sent);
    if (room <= sent.length) void this.#line[Symbol.asyncDispose]();
    await written.catch(() => undefined);
  }

  /** Flips one bit after a random distance of 1 to 2N bytes, N on average. */
  #corrupted(bytes: Uint8Array, oneIn: number): Uint8Array {
    const copy = Uint8Array.from(bytes);
    this.#bytesToCorruption ??= 1 + (this.#draw() % (2 * oneIn));
    for (
      ;
      this.#bytesToCorruption <= copy.length;
      this.#bytesToCorruption += 1 + (this.#draw() % (2 * oneIn))
    ) {
      const index = this.#bytesToCorruption - 1;
      copy[index] = (copy[index] ?? 0) ^ (1 << (this.#draw() % 8));
    }
    this.#bytesToCorruption -= copy.length;
    return copy;
  }

  #happens(oneIn: number | undefined): boolean {
    return oneIn !== undefined && this.#draw() % oneIn === 0;
  }

  #draw(): number {
    const bytes = this.#random.bytes(4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
  }
}

const logText = '[00:01:17.250] <inf> rec: segment closed';

/** The same answer under a sequence number that nobody used. */
function forged(message: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(message);
  copy[6] = ((copy[6] ?? 0) + 1) & 0xff;
  return copy;
}

function groupOf(frame: Uint8Array): number | undefined {
  try {
    return decodeSmpMessage(frame).message.groupId;
  } catch {
    return undefined;
  }
}
