import { createHash, createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto';
import * as group from '../../protocol/smp/camera-group.ts';
import { encodeCborMap } from '../../protocol/smp/cbor.ts';
import {
  enumCount,
  enumDetails,
  enumError,
  enumList,
  enumSingle,
} from '../../protocol/smp/enumeration-group.ts';
import {
  fsClose,
  fsDownload,
  fsDownloadOverheadBytes,
  fsError,
  fsHash,
  fsHashTypes,
  fsStatus,
} from '../../protocol/smp/fs-group.ts';
import {
  formatDatetime,
  osEcho,
  osError,
  osInfo,
  osParameters,
  osReadDatetime,
  osReset,
  osWriteDatetime,
  parseDatetime,
} from '../../protocol/smp/os-group.ts';
import { statError, statList, statRead } from '../../protocol/smp/stat-group.ts';
import { consoleOverheadBytes } from '../../protocol/smp/console-frame.ts';
import type { StorageMode } from '../camera/transfer-mode.ts';
import type { Clock } from '../clock.ts';
import type { DeviceClock } from './device-clock.ts';
import type { CameraFaults } from './faults.ts';
import { RecordingDigests } from './recording-digests.ts';
import type { HeldRecording, RecordingStore } from './recording-store.ts';
import { SmpGroupFailure, smpHandler, SmpServer, type SmpHandler } from './smp-server.ts';

export interface SimulatedCameraOptions {
  readonly serialNumber: string;
  readonly model: string;
  readonly firmware: string;
  readonly hardwareRevision: string;
  /** 32 bytes from which the Ed25519 key pair is made; absent for a camera without a key. */
  readonly keySeed?: Uint8Array;
  readonly store: RecordingStore;
  readonly deviceClock: DeviceClock;
  /** Whether the camera group's millisecond clock is there, or only the standard one of whole seconds. */
  readonly hasFineClock: boolean;
  readonly batteryPercent: number;
  readonly capacityBytes: number;
  /** The message buffer stated in the parameters; 2048 is advised, Zephyr's default is 384. */
  readonly bufferBytes: number;
  readonly bufferCount: number;
  /** Storage modes that it can be asked for, besides control. */
  readonly storageModes: readonly StorageMode[];
  /** Called once an answer has agreed to a storage mode: the camera now leaves the bus and comes back as that. */
  readonly onModeSwitch?: (mode: StorageMode) => void;
}

const chargePercentPerMinute = 1.2;

/** A camera of the camera group: everything but the line. `faults` may be changed at any time. */
export class SimulatedCamera {
  readonly options: SimulatedCameraOptions;
  readonly faults: CameraFaults;
  readonly server: SmpServer;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array | undefined;
  readonly #clock: Clock;
  readonly #startedAt: number;
  readonly #privateKey: KeyObject | undefined;
  readonly #digests: RecordingDigests;
  #assignment: { post: string; badge: string } | undefined;
  #listGeneration = 1;
  #listed = '[]';
  #recordingBytesSent = 0;
  #agreedMode: StorageMode | undefined;

  constructor(options: SimulatedCameraOptions, clock: Clock, faults: CameraFaults = {}) {
    this.options = options;
    this.faults = faults;
    this.#clock = clock;
    this.#startedAt = clock.monotonic();
    this.#digests = new RecordingDigests(options.store, clock);
    this.#privateKey = options.keySeed && ed25519Key(options.keySeed);
    this.publicKey = this.#privateKey && rawPublicKey(this.#privateKey);
    const handlers = [
      ...this.#osHandlers(),
      ...this.#statHandlers(),
      ...this.#fileHandlers(),
      ...this.#cameraHandlers(),
    ];
    this.server = new SmpServer(
      [...handlers, ...enumerationHandlers([...handlers.map(({ command }) => command.groupId), 10])],
      options.bufferBytes - consoleOverheadBytes,
    );
  }

  #osHandlers(): SmpHandler[] {
    const { deviceClock } = this.options;
    return [
      smpHandler(osEcho, ({ d }) => ({ r: d })),
      smpHandler(osParameters, () => ({
        buf_size: this.options.bufferBytes,
        buf_count: this.options.bufferCount,
      })),
      smpHandler(osInfo, () => ({ output: `${this.options.model} ${this.options.firmware}` })),
      smpHandler(osReset, () => ({})),
      smpHandler(osReadDatetime, () => {
        const at = this.faults.clockNeverSet ? undefined : deviceClock.read();
        if (at === undefined) throw new SmpGroupFailure(0, osError.clockNotSet);
        return { datetime: formatDatetime(at) };
      }),
      smpHandler(osWriteDatetime, ({ datetime }) => {
        const at = parseDatetime(datetime);
        if (at === undefined) throw new SmpGroupFailure(0, osError.invalidFormat);
        deviceClock.set(at);
        return {};
      }),
    ];
  }

  #statHandlers(): SmpHandler[] {
    return [
      smpHandler(statList, () => ({ stat_list: ['camera'] })),
      smpHandler(statRead, ({ name }) => {
        if (name !== 'camera') throw new SmpGroupFailure(2, statError.invalidName);
        return {
          name,
          fields: { recordings: this.options.store.list().length, bytes_sent: this.#recordingBytesSent },
        };
      }),
    ];
  }

  #fileHandlers(): SmpHandler[] {
    const { store, bufferBytes } = this.options;
    const chunkBytes = bufferBytes - fsDownloadOverheadBytes;
    return [
      smpHandler(fsStatus, ({ name }) => ({ len: this.#byPath(name).sizeBytes })),
      smpHandler(fsDownload, ({ name, off }) => {
        const recording = this.#byPath(name);
        const data = store.read(recording, Math.min(Number(off), recording.sizeBytes), chunkBytes);
        this.#recordingBytesSent += data.length;
        return Number(off) === 0 ? { off, data, len: recording.sizeBytes } : { off, data };
      }),
      smpHandler(fsHashTypes, () => ({ types: { sha256: { format: 1, size: 32 } } })),
      smpHandler(fsHash, ({ name, type }) => {
        if (type !== undefined && type !== 'sha256') throw new SmpGroupFailure(8, fsError.hashTypeNotFound);
        const recording = this.#byPath(name);
        return { type: 'sha256', len: recording.sizeBytes, output: this.#statedDigest(recording) };
      }),
      smpHandler(fsClose, () => ({})),
    ];
  }

  #cameraHandlers(): SmpHandler[] {
    const { deviceClock, hasFineClock } = this.options;
    const handlers = [
      smpHandler(group.cameraIdentity, () => this.#identity()),
      smpHandler(group.cameraHealth, () => this.#health()),
      smpHandler(group.cameraListRecordings, ({ from, gen }) => this.#listPage(from, gen)),
      smpHandler(group.cameraStartDigest, ({ id }) => {
        this.#digests.start(this.#byId(id));
        return {};
      }),
      smpHandler(group.cameraPollDigest, ({ id }) => {
        const recording = this.#byId(id);
        const digest = this.#digests.progress(recording);
        if (!digest) throw new SmpGroupFailure(group.cameraGroupId, group.cameraError.digestNotStarted);
        const sha = digest.sha256 && (this.#falseDigest(recording) ?? digest.sha256);
        return { done: digest.doneBytes, sha };
      }),
      smpHandler(group.cameraRemove, ({ id, sha }) => this.#remove(id, sha)),
      smpHandler(group.cameraReadMode, () => ({
        mode: 0,
        modes: [0, ...this.options.storageModes.map((mode) => group.transferModes.indexOf(mode))],
      })),
      smpHandler(group.cameraSetMode, ({ mode }) => {
        const agreed = this.options.storageModes.find((each) => group.transferModes.indexOf(each) === mode);
        if (!agreed && mode !== 0) {
          throw new SmpGroupFailure(group.cameraGroupId, group.cameraError.modeNotSupported);
        }
        this.#agreedMode = agreed;
        return {};
      }),
      smpHandler(group.cameraReadAssignment, () => this.#assignment ?? {}),
      smpHandler(group.cameraSetAssignment, (assignment) => {
        this.#assignment = assignment;
        return {};
      }),
      smpHandler(group.cameraChallenge, ({ nonce }) => ({ sig: this.#signature(nonce) })),
    ];
    if (!hasFineClock) return handlers;
    return [
      ...handlers,
      smpHandler(group.cameraReadClock, () => {
        const ms = this.faults.clockNeverSet ? undefined : deviceClock.read();
        if (ms === undefined) throw new SmpGroupFailure(group.cameraGroupId, group.cameraError.clockNotSet);
        return { ms, res: deviceClock.resolutionMs };
      }),
      smpHandler(group.cameraSetClock, ({ ms }) => {
        deviceClock.set(ms);
        return {};
      }),
    ];
  }

  #identity(): Record<string, unknown> & { serial: string; model: string; fw: string; hw: string } {
    const isSwapped = this.#recordingBytesSent >= (this.faults.swapIdentityAfterBytes ?? Infinity);
    return {
      serial: isSwapped ? `${this.options.serialNumber}X` : this.options.serialNumber,
      model: this.options.model,
      fw: this.options.firmware,
      hw: this.options.hardwareRevision,
      ...(this.publicKey && { key: this.publicKey }),
    };
  }

  #health(): Record<string, unknown> {
    const upMs = this.#clock.monotonic() - this.#startedAt;
    const percent = Math.min(100, this.options.batteryPercent + (upMs / 60_000) * chargePercentPerMinute);
    const usedBytes = this.options.store.list().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    return {
      bat: Math.floor(percent),
      mv: Math.round(3500 + percent * 7),
      cyc: 41,
      chg: percent < 100,
      temp: 273,
      total: this.options.capacityBytes,
      free: this.faults.storageFull ? 0 : Math.max(0, this.options.capacityBytes - usedBytes),
      up: Math.floor(upMs / 1000),
      cnt: { sd_write: 0, sd_read: 0 },
    };
  }

  /** As many entries as fit the message buffer, measured by encoding them. */
  #listPage(from: number, gen: number | undefined): { total: number; gen: number; list: unknown[] } {
    const held = this.options.store.list();
    // The store may change by itself: a camera records, a folder is written to.
    const fingerprint = JSON.stringify(held.map(({ id, sizeBytes }) => [id, sizeBytes]));
    if (this.#listed !== fingerprint) this.#listGeneration++;
    this.#listed = fingerprint;
    if (gen !== undefined && gen !== this.#listGeneration) {
      throw new SmpGroupFailure(group.cameraGroupId, group.cameraError.listChanged);
    }
    const total = this.faults.endlessList ? Number.MAX_SAFE_INTEGER : held.length;
    const list: Record<string, unknown>[] = [];
    let room = this.options.bufferBytes - 64;
    for (let index = from; index < total; index++) {
      const recording = held[this.faults.endlessList ? index % held.length : index];
      if (!recording) break;
      const entry = this.#listEntry(
        recording,
        this.faults.endlessList ? `${recording.id}-${index}` : recording.id,
      );
      room -= encodeCborMap(entry).length;
      if (room < 0) break;
      list.push(entry);
    }
    return { total, gen: this.#listGeneration, list };
  }

  #listEntry(recording: HeldRecording, id: string): Record<string, unknown> {
    return {
      id,
      path: recording.path,
      size:
        this.faults.lyingSizeBytes === undefined
          ? recording.sizeBytes
          : BigInt(recording.sizeBytes) + this.faults.lyingSizeBytes,
      kind: group.recordingKinds.indexOf(recording.kind),
      prot: recording.isProtected,
      // Keys without a value are left out: as "undefined" they would be on the wire, beyond what was measured.
      ...(recording.startedAt !== undefined && { start: recording.startedAt }),
      ...(recording.endedAt !== undefined && { end: recording.endedAt }),
      ...(recording.knowsDigest && { sha: this.#statedDigest(recording) }),
    };
  }

  #remove(id: string, sha: Uint8Array): Record<string, never> {
    const recording = this.#byId(id);
    // From the bytes as they are: what was computed before may be of a file that grew since.
    const digest = this.#falseDigest(recording) ?? this.#digests.fresh(recording);
    if (!Buffer.from(digest).equals(sha)) {
      throw new SmpGroupFailure(group.cameraGroupId, group.cameraError.digestMismatch);
    }
    if (this.faults.refuseRemoval) {
      throw new SmpGroupFailure(group.cameraGroupId, group.cameraError.removalRefused);
    }
    this.options.store.remove(recording);
    this.#digests.forget(recording);
    return {};
  }

  #signature(nonce: Uint8Array): Uint8Array {
    if (!this.#privateKey) throw new SmpGroupFailure(group.cameraGroupId, group.cameraError.noKey);
    const key = this.faults.impostorKey ? ed25519Key(new Uint8Array(32)) : this.#privateKey;
    return new Uint8Array(sign(null, group.challengeMessage(this.options.serialNumber, nonce), key));
  }

  #statedDigest(recording: HeldRecording): Uint8Array {
    return this.#falseDigest(recording) ?? this.#digests.known(recording);
  }

  #falseDigest(recording: HeldRecording): Uint8Array | undefined {
    if (!this.faults.wrongDigest) return undefined;
    return new Uint8Array(createHash('sha256').update(recording.id).digest());
  }

  #byPath(path: string): HeldRecording {
    const recording = this.options.store.find({ path });
    if (!recording) throw new SmpGroupFailure(8, fsError.notFound);
    return recording;
  }

  #byId(id: string): HeldRecording {
    const recording = this.options.store.find({ id });
    if (!recording) throw new SmpGroupFailure(group.cameraGroupId, group.cameraError.noSuchRecording);
    return recording;
  }

  /** Tells of an agreed transfer mode: not before its answer is on the way. */
  answered(): void {
    const mode = this.#agreedMode;
    this.#agreedMode = undefined;
    if (mode && !this.faults.ignoreModeSwitch) this.options.onModeSwitch?.(mode);
  }

  /** Whether a download must go unanswered from now on. */
  get isStalled(): boolean {
    return this.#recordingBytesSent >= (this.faults.stallAfterBytes ?? Infinity);
  }
}

function enumerationHandlers(groupIds: readonly number[]): SmpHandler[] {
  const groups = [...new Set(groupIds)];
  const names: Readonly<Record<number, string>> = {
    0: 'os mgmt',
    2: 'stat mgmt',
    8: 'fs mgmt',
    10: 'enum mgmt',
    64: 'camera',
  };
  return [
    smpHandler(enumCount, () => ({ count: groups.length })),
    smpHandler(enumList, () => ({ groups })),
    smpHandler(enumSingle, ({ index }) => {
      const id = groups[index];
      if (id === undefined) throw new SmpGroupFailure(10, enumError.indexTooLarge);
      return index === groups.length - 1 ? { group: id, end: true } : { group: id };
    }),
    smpHandler(enumDetails, () => ({ groups: groups.map((id) => ({ group: id, name: names[id] })) })),
  ];
}

function rawPublicKey(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }).subarray(-32));
}

/** RFC 8410: the PKCS #8 head of an Ed25519 private key, then its 32 bytes. */
function ed25519Key(seed: Uint8Array): KeyObject {
  const head = Buffer.from('302e020100300506032b657004220420', 'hex');
  return createPrivateKey({ key: Buffer.concat([head, seed]), format: 'der', type: 'pkcs8' });
}
