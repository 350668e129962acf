import { DockError, hasCode } from '../../protocol/errors.ts';
import * as group from '../../protocol/smp/camera-group.ts';
import { failureError, isUnsupported, type SmpFailure } from '../../protocol/smp/failure.ts';
import { fsDownload, fsError, fsStatus } from '../../protocol/smp/fs-group.ts';
import {
  formatDatetime,
  osError,
  osReadDatetime,
  osWriteDatetime,
  parseDatetime,
} from '../../protocol/smp/os-group.ts';
import type { Clock } from '../clock.ts';
import {
  listLimit,
  type Camera,
  type CameraClock,
  type CameraHealth,
  type CameraHealthReader,
  type CameraIdentity,
  type CameraChallenge,
  type ListedRecording,
} from './camera.ts';
import { parseSerialNumber } from './serial-number.ts';
import { defaultSmpClientOptions, SmpClient, type SmpClientOptions } from './smp-client.ts';
import type { SmpTransport } from './smp-transport.ts';
import { switchTransferMode, type StorageMode } from './transfer-mode.ts';
import { isVerifiedCopy, type VerifiedCopy } from './verified-copy.ts';

/** A list is read again from its start when it changes while being paged; so often at most. */
const listRestarts = 5;
const digestPollMs = 200;
/** A digest slower than 100 kB/s beyond the first ten minutes does not end. */
const leastDigestPolls = 3000;
const slowestDigestBytesPerPoll = 20_000;

export interface SmpCameraOptions extends Partial<SmpClientOptions> {
  /** False: the camera gets no `remove`, whatever it offers. */
  readonly mayRemove?: boolean;
}

/** A camera of the camera group, with what only that has. */
export interface SmpCamera extends Camera {
  /**
   * Asks the camera to come back as a storage; it leaves its port then, and this object ends as `link.closed`.
   * Errors: `smp.unsupported`, `smp.rejected`, `wire.timeout`, `link.closed`.
   */
  switchStorage(storage: StorageMode, signal: AbortSignal): Promise<void>;
}

/** Opens a camera of the camera group on any SMP transport. Takes over the transport, also when it fails. */
export async function openSmpCamera(
  transport: SmpTransport,
  clock: Clock,
  signal: AbortSignal,
  { mayRemove = true, ...clientOptions }: SmpCameraOptions = {},
): Promise<SmpCamera> {
  const client = new SmpClient(transport, clock, { ...defaultSmpClientOptions, ...clientOptions });
  try {
    await client.negotiate(signal);
    const { identity, can } = await readIdentity(client, signal);
    const cameraClock = await findClock(client, can, signal);
    return new CameraGroupCamera(client, clock, { identity, can, cameraClock, mayRemove });
  } catch (error) {
    await client[Symbol.asyncDispose]();
    throw error;
  }
}

class CameraGroupCamera implements SmpCamera {
  readonly identity: CameraIdentity;
  readonly clock?: CameraClock;
  readonly health?: CameraHealthReader;
  readonly challenge?: CameraChallenge;
  readonly digest?: NonNullable<Camera['digest']>;
  readonly remove?: NonNullable<Camera['remove']>;
  readonly #client: SmpClient;
  readonly #clock: Clock;

  constructor(
    client: SmpClient,
    clock: Clock,
    found: {
      identity: CameraIdentity;
      can: CommandTest;
      cameraClock: CameraClock | undefined;
      mayRemove: boolean;
    },
  ) {
    this.#client = client;
    this.#clock = clock;
    this.identity = found.identity;
    if (found.cameraClock) this.clock = found.cameraClock;
    if (found.can(group.cameraHealth)) this.health = (signal) => this.#readHealth(signal);
    if (found.can(group.cameraStartDigest)) this.digest = (...args) => this.#digest(...args);
    if (found.mayRemove && found.can(group.cameraRemove)) this.remove = (...args) => this.#remove(...args);
    if (found.identity.publicKey) this.challenge = (nonce, signal) => this.#signChallenge(nonce, signal);
  }

  async readIdentity(signal: AbortSignal): Promise<CameraIdentity> {
    return (await readIdentity(this.#client, signal)).identity;
  }

  switchStorage(storage: StorageMode, signal: AbortSignal): Promise<void> {
    return switchTransferMode(this.#client, storage, signal);
  }

  async #signChallenge(nonce: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    return (await this.#client.call(group.cameraChallenge, { nonce }, signal)).sig;
  }

  async #readHealth(signal: AbortSignal): Promise<CameraHealth> {
    const body = await this.#client.call(group.cameraHealth, {}, signal);
    return {
      errorCounters: body.cnt ?? {},
      ...(body.bat !== undefined && { batteryPercent: body.bat }),
      ...(body.mv !== undefined && { batteryMillivolts: body.mv }),
      ...(body.cyc !== undefined && { batteryCycles: body.cyc }),
      ...(body.chg !== undefined && { isCharging: body.chg }),
      ...(body.temp !== undefined && { temperatureCelsius: body.temp / 10 }),
      ...(body.total !== undefined && { storageTotalBytes: body.total }),
      ...(body.free !== undefined && { storageFreeBytes: body.free }),
      ...(body.up !== undefined && { uptimeSeconds: body.up }),
    };
  }

  async *recordings(signal: AbortSignal): AsyncGenerator<ListedRecording> {
    for (let restart = 0; ; restart++) {
      const entries = await this.#readList(signal);
      if (entries) {
        yield* entries;
        return;
      }
      if (restart >= listRestarts) throw new DockError('smp.busy', 'the list of recordings keeps changing');
    }
  }

  /** The whole list in one generation of it, or undefined when it changed meanwhile. */
  async #readList(signal: AbortSignal): Promise<ListedRecording[] | undefined> {
    const entries: ListedRecording[] = [];
    const isTooMany = listLimit();
    let generation: number | undefined;
    for (;;) {
      const answer = await this.#client.request(
        group.cameraListRecordings,
        { from: entries.length, gen: generation },
        signal,
      );
      if (answer.kind === 'failed') {
        if (isGroupError(answer, group.cameraError.listChanged)) return undefined;
        throw failureError(group.cameraListRecordings.name, answer);
      }
      const page = answer.body;
      if (generation !== undefined && page.gen !== generation) return undefined;
      generation = page.gen;
      for (const wireEntry of page.list) {
        const entry = listedRecording(wireEntry, entries.length);
        entries.push(entry);
        if (isTooMany(entry)) return entries; // one too many: the session sees that it is endless
      }
      if (BigInt(entries.length) >= BigInt(page.total)) return entries;
      if (page.list.length === 0)
        throw new DockError('smp.bad-response', 'a page of the list has no entries');
    }
  }

  /**
   * Downloads with as many requests in flight as the server holds, two at most: more gain nothing, and the
   * default server loses a third line. The first answer shows the chunk size that the server has chosen.
   */
  async *read(recording: ListedRecording, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const sizeBytes = Number(recording.sizeBytes);
    await this.#checkSize(recording, signal);
    const stop = new AbortController();
    const onAbort = (): void => stop.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const inFlight: Promise<Uint8Array>[] = [];
    const depth = Math.min(this.#client.window, 2);
    let chunkBytes = 0;
    let requested = offset;
    let next = offset;
    try {
      while (next < sizeBytes) {
        const ahead = chunkBytes === 0 ? 1 : depth;
        while (inFlight.length < ahead && requested < sizeBytes) {
          const chunk = this.#download(recording, requested, stop.signal);
          chunk.catch(() => undefined); // seen when its turn comes
          inFlight.push(chunk);
          requested += chunkBytes || sizeBytes;
        }
        const data = await inFlight.shift();
        if (!data || data.length === 0) throw new DockError('recording.size-mismatch', `ends at ${next}`);
        if (next + data.length > sizeBytes)
          throw new DockError('recording.size-mismatch', 'more than listed');
        const isAsExpected = data.length === chunkBytes || next + data.length === sizeBytes;
        next += data.length;
        yield data;
        if (isAsExpected) continue;
        // The first chunk, or a server that changed its chunk size: what was asked ahead no longer fits.
        await Promise.allSettled(inFlight.splice(0));
        chunkBytes = data.length;
        requested = next;
      }
    } finally {
      stop.abort();
      signal.removeEventListener('abort', onAbort);
      await Promise.allSettled(inFlight);
    }
  }

  async #checkSize(recording: ListedRecording, signal: AbortSignal): Promise<void> {
    const answer = await this.#client
      .request(fsStatus, { name: recording.path }, signal)
      .catch((error: unknown) => rethrowStall(recording, error));
    if (answer.kind === 'failed') throw downloadError(recording, answer);
    if (BigInt(answer.body.len) !== BigInt(recording.sizeBytes)) {
      throw new DockError(
        'recording.size-mismatch',
        `listed ${recording.sizeBytes} bytes, the file has ${answer.body.len}`,
      );
    }
  }

  async #download(recording: ListedRecording, offset: number, signal: AbortSignal): Promise<Uint8Array> {
    const answer = await this.#client
      .request(
        fsDownload,
        { off: offset, name: recording.path },
        signal,
        ({ off }) => BigInt(off) === BigInt(offset),
      )
      .catch((error: unknown) => rethrowStall(recording, error));
    if (answer.kind === 'failed') throw downloadError(recording, answer);
    return answer.body.data;
  }

  async #digest(recording: ListedRecording, signal: AbortSignal): Promise<string> {
    await this.#client.call(group.cameraStartDigest, { id: recording.id }, signal);
    const mostPolls = leastDigestPolls + Number(recording.sizeBytes) / slowestDigestBytesPerPoll;
    for (let polls = 0, doneBefore = -1n, idlePolls = 0; ; polls++) {
      const { done, sha } = await this.#client.call(group.cameraPollDigest, { id: recording.id }, signal);
      if (sha) return Buffer.from(sha).toString('hex');
      idlePolls = BigInt(done) > doneBefore ? 0 : idlePolls + 1;
      doneBefore = BigInt(done);
      if (idlePolls > 150 || polls > mostPolls)
        throw new DockError('recording.stalled', 'the digest does not progress');
      await this.#clock.sleep(digestPollMs, signal);
    }
  }

  async #remove(recording: ListedRecording, proof: VerifiedCopy, signal: AbortSignal): Promise<void> {
    if (!isVerifiedCopy(proof)) throw new DockError('internal.bug', 'removal without a verified copy');
    const sha = new Uint8Array(Buffer.from(proof.sha256, 'hex'));
    const answer = await this.#client.request(group.cameraRemove, { id: recording.id, sha }, signal);
    // After a repeated request the first one may have removed it already; the camera checks the digest anyway.
    if (answer.kind === 'failed' && !isGroupError(answer, group.cameraError.noSuchRecording)) {
      throw new DockError('removal.refused', `${recording.path.slice(0, 200)}: ${describeFailure(answer)}`);
    }
    const after = await this.#client.request(fsStatus, { name: recording.path }, signal);
    if (after.kind === 'ok') {
      throw new DockError(
        'removal.refused',
        `${recording.path.slice(0, 200)}: still there after its removal`,
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }
}

/** Whether the camera has an optional command of the camera group. */
type CommandTest = (command: { commandId: number }) => boolean;

async function readIdentity(
  client: SmpClient,
  signal: AbortSignal,
): Promise<{ identity: CameraIdentity; can: CommandTest }> {
  const body = await client.call(group.cameraIdentity, {}, signal);
  const serialNumber = parseSerialNumber(body.serial);
  const identity: CameraIdentity = {
    serialNumber,
    ...(body.serial !== serialNumber && { statedSerialNumber: body.serial }),
    model: body.model,
    firmware: body.fw,
    hardwareRevision: body.hw,
    ...(body.key && { publicKey: body.key }),
  };
  return { identity, can: ({ commandId }) => body.can?.includes(commandId) ?? true };
}

/** The camera group's clock with its milliseconds, else the standard one with whole seconds, else none. */
async function findClock(
  client: SmpClient,
  can: CommandTest,
  signal: AbortSignal,
): Promise<CameraClock | undefined> {
  if (can(group.cameraReadClock)) {
    const fine = await client.request(group.cameraReadClock, {}, signal);
    if (fine.kind === 'ok') return fineClock(client, fine.body.res);
    if (!isUnsupported(fine)) return fineClock(client, 1); // never set, or in trouble: it is there
  }
  const coarse = await client.request(osReadDatetime, {}, signal);
  if (coarse.kind === 'ok' || isGroupError(coarse, osError.clockNotSet, 0)) return coarseClock(client);
  return undefined;
}

function fineClock(client: SmpClient, resolutionMs: number): CameraClock {
  return {
    resolutionMs,
    read: async (signal) => {
      const answer = await client.request(group.cameraReadClock, {}, signal);
      if (answer.kind === 'ok') return answer.body.ms;
      if (isGroupError(answer, group.cameraError.clockNotSet)) throw new DockError('camera.clock-unset');
      throw failureError(group.cameraReadClock.name, answer);
    },
    set: async (at, signal) => {
      await client.call(group.cameraSetClock, { ms: Math.round(at) }, signal);
    },
  };
}

function coarseClock(client: SmpClient): CameraClock {
  return {
    resolutionMs: 1000,
    read: async (signal) => {
      const answer = await client.request(osReadDatetime, {}, signal);
      if (answer.kind === 'failed') {
        if (isGroupError(answer, osError.clockNotSet, 0)) throw new DockError('camera.clock-unset');
        throw failureError(osReadDatetime.name, answer);
      }
      const at = parseDatetime(answer.body.datetime);
      if (at === undefined) throw new DockError('smp.bad-response', `datetime ${answer.body.datetime}`);
      return at;
    },
    set: async (at, signal) => {
      await client.call(osWriteDatetime, { datetime: formatDatetime(at) }, signal);
    },
  };
}

/** An entry that cannot be read still counts: it is listed, and will be refused. */
function listedRecording(wireEntry: unknown, index: number): ListedRecording {
  const parsed = group.cameraListEntry.safeParse(wireEntry);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const defect = `${issue?.path.join('.')}: ${issue?.message}`.slice(0, 200);
    return { id: `#${index}`, path: `#${index}`, sizeBytes: 0, kind: 'other', isProtected: false, defect };
  }
  const entry = parsed.data;
  return {
    id: entry.id,
    path: entry.path,
    sizeBytes: entry.size,
    kind: group.recordingKinds[entry.kind] ?? 'other',
    isProtected: entry.prot ?? false,
    ...(entry.start !== undefined && { startedAt: entry.start }),
    ...(entry.end !== undefined && { endedAt: entry.end }),
    ...(entry.sha && { sha256: Buffer.from(entry.sha).toString('hex') }),
  };
}

function isGroupError(
  answer: { kind: 'ok' } | ({ kind: 'failed' } & SmpFailure),
  code: number,
  groupId = group.cameraGroupId,
): boolean {
  return (
    answer.kind === 'failed' &&
    answer.scope !== 'common' &&
    answer.scope.groupId === groupId &&
    answer.code === code
  );
}

function downloadError(recording: ListedRecording, failure: SmpFailure): DockError {
  if (failure.scope !== 'common' && failure.code === fsError.notFound) {
    return new DockError('recording.vanished', recording.path.slice(0, 200));
  }
  if (failure.scope !== 'common') {
    return new DockError('recording.stalled', describeFailure(failure));
  }
  return failureError(fsDownload.name, failure);
}

/** The caller asks the identity then: a camera that answers that is there, and this recording is stuck. */
function rethrowStall(recording: ListedRecording, error: unknown): never {
  if (!hasCode(error, 'wire.timeout')) throw error;
  throw new DockError('recording.stalled', recording.path.slice(0, 200), { cause: error });
}

function describeFailure(failure: SmpFailure): string {
  return failure.scope === 'common'
    ? `rc ${failure.code}`
    : `group ${failure.scope.groupId} rc ${failure.code}`;
}
