import { ConsoleDeframer, encodeConsoleFrame } from '../../protocol/smp/console-frame.ts';
import { decodeSmpMessage } from '../../protocol/smp/message.ts';
import type { RandomSource } from '../clock.ts';
import type { ByteLink } from '../link.ts';
import type { CameraFaults } from './faults.ts';
import type { SmpServer } from './smp-server.ts';

const limits = { maxMessageBytes: 0xffff - 2, maxLineBytes: 512 };
const groupFs = 8;

/** The part of a simulated camera that the line needs. */
export interface ServedCamera {
  readonly faults: CameraFaults;
  readonly server: Pick<SmpServer, 'answer'>;
  /** Whether downloads must go unanswered. */
  readonly isStalled: boolean;
}

/**
 * Answers SMP over console on a link until it closes. The faults of the line (silence, corruption, repeats,
 * delays, forgeries, a pulled cable) happen here; those of the camera in SimulatedCamera.
 */
export async function serveCamera(camera: ServedCamera, link: ByteLink, random: RandomSource): Promise<void> {
  const line = new FaultyLine(camera, link, random);
  const deframer = new ConsoleDeframer(limits);
  link.onBytes((chunk) => {
    for (const item of deframer.push(chunk)) {
      if (item.kind === 'message') line.answer(item.bytes);
    }
  });
  await link.closed;
}

class FaultyLine {
  readonly #camera: ServedCamera;
  readonly #link: ByteLink;
  readonly #random: RandomSource;
  #heldBack: Uint8Array | undefined;
  #sentBytes = 0;
  #bytesToCorruption: number | undefined;

  constructor(camera: ServedCamera, link: ByteLink, random: RandomSource) {
    this.#camera = camera;
    this.#link = link;
    this.#random = random;
  }

  answer(frame: Uint8Array): void {
    const { faults } = this.#camera;
    if (faults.silent) return;
    if (this.#camera.isStalled && groupOf(frame) === groupFs) return;
    for (const message of this.#camera.server.answer(frame)) {
      if (faults.logText) this.#send(Buffer.from('[00:01:17.250] <inf> rec: segment closed\r\n', 'latin1'));
      if (faults.forgeAnswers) this.#sendMessage(forged(message));
      if (this.#happens(faults.delayOneIn) && !this.#heldBack) {
        this.#heldBack = message;
        continue;
      }
      this.#sendMessage(message);
      if (faults.repeatAnswers) this.#sendMessage(message);
      if (this.#heldBack) this.#sendMessage(this.#heldBack);
      this.#heldBack = undefined;
    }
  }

  #sendMessage(message: Uint8Array): void {
    this.#send(Buffer.concat(encodeConsoleFrame(message)));
  }

  #send(bytes: Uint8Array): void {
    const { faults } = this.#camera;
    const sent = faults.corruptOneByteIn ? this.#corrupted(bytes, faults.corruptOneByteIn) : bytes;
    const room = (faults.unplugAfterBytes ?? Infinity) - this.#sentBytes;
    this.#sentBytes += sent.length;
    this.#link.write(room < sent.length ? sent.subarray(0, Math.max(0, room)) : sent).catch(() => undefined);
    if (room <= sent.length) void this.#link[Symbol.asyncDispose]();
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
