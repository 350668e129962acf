import { DockError } from '../../protocol/errors.ts';
import type {
  Attachment,
  Camera,
  CameraChallenge,
  CameraClock,
  CameraHealthReader,
  CameraIdentity,
  ListedRecording,
} from './camera.ts';

/** What opening the storage gave: an unlock may have taken the control channel away, or brought another. */
export interface OpenedStorage {
  readonly storage: Camera;
  /** Of the device that shows the storage. */
  readonly attachment: Attachment;
  readonly control?: Camera;
}

/** Opens the storage and takes over the control channel, also when it fails. */
export type OpenStorage = (signal: AbortSignal) => Promise<OpenedStorage>;

/**
 * A camera that is asked on one channel and emptied on another. The storage is opened when its recordings are first
 * asked for: until then the camera may be locked, and one that is refused stays so. A capability goes with the
 * channel that has it.
 */
export class TwoChannelCamera implements Camera {
  readonly identity: CameraIdentity;
  readonly #openStorage: OpenStorage;
  #control: Camera | undefined;
  #storage: Camera | undefined;
  #attachment: Attachment;

  constructor(control: Camera, attachment: Attachment, openStorage: OpenStorage) {
    this.identity = control.identity;
    this.#attachment = attachment;
    this.#control = control;
    this.#openStorage = openStorage;
  }

  /** A camera that was unlocked before, and so has but one channel left. */
  static unlocked(opened: OpenedStorage): TwoChannelCamera {
    const camera = new TwoChannelCamera(opened.storage, opened.attachment, () => Promise.resolve(opened));
    camera.#take(opened);
    return camera;
  }

  get attachment(): Attachment {
    return this.#attachment;
  }

  get isLocked(): boolean {
    return this.#storage === undefined;
  }

  get health(): CameraHealthReader | undefined {
    return this.#control?.health ?? this.#storage?.health;
  }

  get clock(): CameraClock | undefined {
    return this.#control?.clock ?? this.#storage?.clock;
  }

  get challenge(): CameraChallenge | undefined {
    return this.#control?.challenge;
  }

  get remove(): Camera['remove'] {
    return this.#storage?.remove;
  }

  /** Of both channels: a swap behind the hub may concern either. */
  async readIdentity(signal: AbortSignal): Promise<CameraIdentity> {
    const storage = await this.#storage?.readIdentity(signal);
    const control = await this.#control?.readIdentity(signal);
    const isOther = storage && storage.serialNumber !== this.identity.serialNumber;
    if (isOther) return storage;
    if (!storage && !control) throw new DockError('link.closed', 'both channels of the camera are gone');
    return control ?? this.identity;
  }

  async *recordings(signal: AbortSignal): AsyncGenerator<ListedRecording> {
    yield* (await this.#opened(signal)).recordings(signal);
  }

  async *read(recording: ListedRecording, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    yield* (await this.#opened(signal)).read(recording, offset, signal);
  }

  async #opened(signal: AbortSignal): Promise<Camera> {
    if (this.#storage) return this.#storage;
    if (!this.#control) throw new DockError('link.closed', 'the control channel of the camera is gone');
    this.#control = undefined;
    const opened = await this.#openStorage(signal);
    this.#take(opened);
    const { serialNumber } = opened.storage.identity;
    if (serialNumber !== this.identity.serialNumber) {
      throw new DockError('camera.identity-changed', `${this.identity.serialNumber} became ${serialNumber}`);
    }
    return opened.storage;
  }

  #take({ storage, control, attachment }: OpenedStorage): void {
    this.#storage = storage;
    this.#control = control;
    this.#attachment = attachment;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#storage?.[Symbol.asyncDispose]();
    await this.#control?.[Symbol.asyncDispose]();
  }
}
