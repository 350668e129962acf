import { createHash, randomInt } from 'node:crypto';
import { decodeSmpMessage } from '../../protocol/smp/message.ts';
import { openPty, type PtyLink } from '../../dock/host/pty.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { MemoryStore, type HeldRecording } from '../../dock/simulator/recording-store.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { serveCamera, type ServedCamera } from '../../dock/simulator/serve.ts';
import { bytesOf } from '../support/recordings.ts';

/** What a station asked a camera for last, in words. */
export type Asked = 'nothing' | 'identity' | 'clock' | 'list' | 'recording' | 'digest' | 'removal';

/** Group and command of camera-group.ts, fs-group.ts and os-group.ts to words; the rest is about who it is. */
const askedBy: Readonly<Record<string, Asked>> = {
  '0/4': 'clock',
  '64/2': 'clock',
  '64/3': 'list',
  '64/4': 'digest',
  '64/5': 'removal',
  '8/0': 'recording',
  '8/2': 'digest',
};

/**
 * A camera on a pseudo-terminal that goes on recording and remembers all it ever recorded. It lives in the process of
 * the test: nothing that happens to the station touches it.
 */
export class ShiftCamera implements AsyncDisposable {
  readonly serialNumber: string;
  /** Digest of everything ever recorded, by path. */
  readonly recorded = new Map<string, string>();
  /** Called when the station has a recording removed, before the answer leaves. */
  onRemoved: () => void = () => undefined;
  asked: Asked = 'nothing';
  readonly #store: ShiftStore;
  readonly #portPath: string;
  readonly #served: ServedCamera;
  #link: PtyLink;
  readonly #startedAt = systemClock.now() - 8 * 3_600_000;

  constructor(serialNumber: string, portPath: string) {
    this.serialNumber = serialNumber;
    this.#store = new ShiftStore(() => this.onRemoved());
    const camera = sampleCamera(
      { serialNumber, store: this.#store, clockResolutionMs: 10, clockOffsetMs: 4200 },
      systemClock,
    );
    this.#portPath = portPath;
    this.#served = {
      faults: camera.faults,
      isStalled: false,
      server: {
        answer: (frame) => {
          const { groupId, commandId } = decodeSmpMessage(frame).message;
          this.asked = askedBy[`${groupId}/${commandId}`] ?? 'identity';
          return camera.server.answer(frame);
        },
      },
    };
    this.#link = this.#plug();
  }

  /** Out of its bay and back. */
  async replug(): Promise<void> {
    await this.#link[Symbol.asyncDispose]();
    this.#link = this.#plug();
  }

  #plug(): PtyLink {
    const link = openPty(this.#portPath);
    void serveCamera(this.#served, link, systemRandom);
    return link;
  }

  /** Records so many more, if any, of 1 byte to 200 kB; some with their digest known at once, some not. */
  record(count: number): void {
    for (let more = 0; more < count; more++) {
      const number = this.recorded.size + 1;
      const path = `/DCIM/REC${String(number).padStart(5, '0')}.MP4`;
      const bytes = bytesOf(`${this.serialNumber} ${path}`, 1 + randomInt(200_000));
      this.recorded.set(path, createHash('sha256').update(bytes).digest('hex'));
      this.#store.add(
        {
          id: `R${number}`,
          path,
          kind: 'video',
          isProtected: number % 7 === 0,
          startedAt: this.#startedAt + number * 1000,
          knowsDigest: number % 2 === 0,
        },
        bytes,
      );
    }
  }

  /** Paths of what it still holds. */
  held(): string[] {
    return this.#store.list().map(({ path }) => path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link[Symbol.asyncDispose]();
  }
}

class ShiftStore extends MemoryStore {
  readonly #onRemoved: () => void;

  constructor(onRemoved: () => void) {
    super();
    this.#onRemoved = onRemoved;
  }

  override remove(recording: HeldRecording): void {
    super.remove(recording);
    this.#onRemoved();
  }
}
