import { createHash, type Hash } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import { DockError, hasCode } from '../../protocol/errors.ts';
import type { Clock, RandomSource } from '../../dock/clock.ts';
import { attestVerifiedCopy, type VerifiedCopy } from '../../dock/camera/verified-copy.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database } from '../state/database.ts';
import type { Disk, DiskFile } from './disk.ts';
import type { IntakeRow } from './intake-row.ts';
import { hashFile } from './read-back.ts';
import { describeRecording, insertRecording, sidecarPath, writeSidecar, type Sidecar } from './sidecar.ts';

export interface VaultParts {
  readonly db: Database;
  readonly outbox: Outbox;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** Where a recording comes from: what its catalogue row needs besides the recording. */
export interface IntakeContext {
  readonly serialNumber: string;
  readonly sessionId: string;
}

/** What the digest of our copy was compared with before it was committed. */
export type CameraDigest = 'listed' | 'computed' | 'unknown';
/** Faults after which nobody knows what of a file is on the disk. */
const suspectCodes = [
  'vault.disk-error',
  'vault.read-only',
  'vault.read-back-mismatch',
  'vault.file-missing',
] as const satisfies ErrorCode[];
const writeBytes = 1024 * 1024;
/** A pull that is interrupted loses at most this much, or this long, of what it received. */
const checkpointBytes = 32 * 1024 * 1024;
const checkpointMs = 10_000;
export interface OpenPart {
  readonly file: DiskFile;
  readonly partPath: string;
  readonly hash: Hash;
  readonly receivedBytes: number;
}

export interface IntakeParts extends VaultParts, OpenPart {
  readonly row: IntakeRow;
  /** The session that received the first byte. */
  readonly begunInSession: string;
  readonly serialNumber: string;
  readonly finalPath: string;
  /** Of the vault. */
  readonly folder: string;
  /** Told how many bytes the disk must still take. */
  readonly onDurable: (remainingBytes: number) => void;
  readonly onClosed: () => void;
}
/** One recording on its way into the vault. */
export class Intake implements AsyncDisposable {
  readonly #parts: IntakeParts;
  readonly #file: DiskFile;
  #hash: Hash;
  #buffer = new Uint8Array(0);
  #bufferedBytes = 0;
  #receivedBytes: number;
  #durableBytes: number;
  #checkpointAt: number;
  /** `settled`: nothing is left to keep beyond what is durable already. */
  #state: 'open' | 'suspect' | 'settled' = 'open';

  constructor(parts: IntakeParts) {
    this.#parts = parts;
    this.#file = parts.file;
    this.#hash = parts.hash;
    this.#receivedBytes = parts.receivedBytes;
    this.#durableBytes = parts.receivedBytes;
    this.#checkpointAt = parts.clock.monotonic() + checkpointMs;
  }

  get recordingId(): string {
    return this.#parts.row.recordingId;
  }

  get begunInSession(): string {
    return this.#parts.begunInSession;
  }

  /** Where to go on reading from the camera. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Errors: `vault.disk-full`, `vault.disk-error`, `vault.read-only`; the intake is of no use after one. */
  async write(chunk: Uint8Array): Promise<void> {
    const written = chunk.length >= writeBytes / 4 ? this.#appendWhole(chunk) : this.#append(chunk);
    // While the disk is at work.
    this.#hash.update(chunk);
    this.#receivedBytes += chunk.length;
    await written;
    const isDue =
      this.#receivedBytes - this.#durableBytes >= checkpointBytes ||
      this.#parts.clock.monotonic() >= this.#checkpointAt;
    if (isDue) await this.#checkpoint();
  }

  /** Digest of all bytes received so far, lower-case hex. */
  sha256(): string {
    return this.#hash.copy().digest('hex');
  }

  /**
   * The commit rule from the sync on. Errors: `vault.*`; after one, the part is thrown away unless only the room
   * was lacking. When just the catalogue failed, the linked file waits for `begin` or `recover` to adopt it.
   */
  async commit(cameraDigest: CameraDigest, signal: AbortSignal): Promise<VerifiedCopy> {
    const { disk, row, finalPath, partPath: part } = this.#parts;
    const sizeBytes = Number(row.recording.sizeBytes);
    if (this.#receivedBytes !== sizeBytes) {
      throw new DockError('internal.bug', `commit after ${this.#receivedBytes} of ${sizeBytes} bytes`);
    }
    await this.#checkpoint();
    const sha256 = this.sha256();
    const storedAt = Math.floor(this.#parts.clock.now());
    const sidecar = describeRecording(this.#parts.db, row, { sha256, storedAt });
    await this.#guard(async () => {
      await disk.dropCache(part);
      const back = await hashFile(this.#file, { signal, expectedBytes: sizeBytes });
      if (back.sha256 !== sha256 || back.sizeBytes !== sizeBytes) {
        throw new DockError('vault.read-back-mismatch', row.storedPath);
      }
      // Durable before the recording has its name: whatever has one can be catalogued from the vault alone.
      await writeSidecar(disk, finalPath, sidecar);
      await disk.link(part, finalPath);
    });
    try {
      await disk.remove(part);
      await disk.syncFolder(dirname(finalPath));
    } catch (error) {
      // Whether the name is durable is not known, and as little tried again as the sync of a file.
      this.discard();
      throw error;
    }
    // Before the commit: after one that failed nobody knows whether the row is there, so the file stays.
    this.#state = 'settled';
    const damagedPath = commitRecording(this.#parts, sidecar, { ...row, cameraDigest });
    if (damagedPath !== undefined) {
      await toleratingDiskFaults(() => removeDamaged(disk, join(this.#parts.folder, damagedPath)));
    }
    return attestVerifiedCopy({ recordingId: sidecar.id, sizeBytes, sha256 });
  }

  /** Forgets everything received, so that the next try starts at the first byte. */
  discard(): void {
    this.#state = 'suspect';
  }

  /**
   * Keeps what was received for a later resumption, unless a fault made it suspect. Throws no `vault.*`, which
   * would hide the fault that led here: what a failing disk leaves behind, the next `begin` or `recover` removes.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await using stack = new AsyncDisposableStack();
    stack.defer(() => this.#parts.onClosed());
    stack.defer(() => toleratingDiskFaults(() => this.#file[Symbol.asyncDispose]()));
    if (this.#state === 'open' && this.#receivedBytes === 0) this.discard(); // nothing worth resuming
    if (this.#state === 'open') await toleratingDiskFaults(() => this.#checkpoint());
    if (this.#state === 'suspect') await toleratingDiskFaults(() => this.#throwAway());
  }

  async #throwAway(): Promise<void> {
    const { disk, db, row, partPath: part, finalPath } = this.#parts;
    // Noted first, so that what cannot be removed is neither resumed nor adopted.
    db.run(
      'UPDATE intake SET durable_bytes = 0, durable_sha256 = ? WHERE source_key = ?',
      createHash('sha256').digest('hex'),
      row.sourceKey,
    );
    await disk.remove(finalPath);
    await disk.remove(sidecarPath(finalPath));
    await disk.remove(part);
    db.run('DELETE FROM intake WHERE source_key = ?', row.sourceKey);
  }

  async #appendWhole(chunk: Uint8Array): Promise<void> {
    await this.#flush();
    await this.#guard(() => this.#file.append(chunk));
  }

  async #append(chunk: Uint8Array): Promise<void> {
    if (this.#buffer.length === 0) {
      const { sizeBytes } = this.#parts.row.recording;
      this.#buffer = new Uint8Array(Math.max(1, Math.min(writeBytes, Number(sizeBytes))));
    }
    let rest = chunk;
    while (rest.length > 0) {
      const part = rest.subarray(0, this.#buffer.length - this.#bufferedBytes);
      this.#buffer.set(part, this.#bufferedBytes);
      this.#bufferedBytes += part.length;
      rest = rest.subarray(part.length);
      if (this.#bufferedBytes === this.#buffer.length) await this.#flush();
    }
  }

  async #flush(): Promise<void> {
    if (this.#bufferedBytes === 0) return;
    const buffered = this.#buffer.subarray(0, this.#bufferedBytes);
    this.#bufferedBytes = 0;
    await this.#guard(() => this.#file.append(buffered));
  }

  /** Makes all bytes received durable and notes that: from here a later session resumes. */
  async #checkpoint(): Promise<void> {
    await this.#flush();
    await this.#guard(() => this.#file.sync());
    this.#durableBytes = this.#receivedBytes;
    this.#checkpointAt = this.#parts.clock.monotonic() + checkpointMs;
    this.#parts.db.run(
      'UPDATE intake SET durable_bytes = ?, durable_sha256 = ?, session_id = ? WHERE source_key = ?',
      this.#durableBytes,
      this.sha256(),
      this.#parts.row.sessionId,
      this.#parts.row.sourceKey,
    );
    this.#parts.onDurable(Number(this.#parts.row.recording.sizeBytes) - this.#durableBytes);
  }

  /**
   * A write or sync that failed leaves pages in an unknown state: the part is never trusted again. A full disk is
   * the exception, because nothing after the last checkpoint counts; what is durable stays for a resumption.
   */
  async #guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (hasCode(error, 'vault.disk-full')) this.#abandonToCheckpoint();
      else if (hasCode(error, ...suspectCodes)) this.discard();
      throw error;
    }
  }

  #abandonToCheckpoint(): void {
    this.#bufferedBytes = 0;
    this.#state = this.#durableBytes > 0 ? 'settled' : 'suspect';
  }
}
/**
 * The last step of the commit rule: row, end of quarantine and intake, counters and event as one fact. Where the
 * catalogue has it already, its copy was damaged and this one takes its place; the path of the damaged one comes back.
 */
export function commitRecording(
  { db, outbox, clock }: Pick<VaultParts, 'db' | 'outbox' | 'clock'>,
  sidecar: Sidecar,
  { sessionId, cameraDigest }: { sessionId: string; cameraDigest: CameraDigest },
): string | undefined {
  const { sourceKey, sizeBytes, session, storedPath } = sidecar;
  return db.transaction(() => {
    const damagedPath = db.get('SELECT stored_path FROM recording WHERE id = ?', sidecar.id)?.['stored_path'];
    if (typeof damagedPath === 'string') {
      const verifiedAt = Math.floor(clock.now());
      db.run(
        'UPDATE recording SET stored_path = ?, verified_at = ? WHERE id = ?',
        storedPath,
        verifiedAt,
        sidecar.id,
      );
      db.run('DELETE FROM intake WHERE source_key = ?', sourceKey);
      db.run('DELETE FROM quarantine WHERE source_key = ?', sourceKey);
      const { serialNumber, sha256, id: recordingId } = sidecar;
      outbox.record('recording-repaired', {
        serialNumber,
        sessionId,
        recordingId,
        sha256,
        storedPath,
        damagedPath,
      });
      return damagedPath;
    }
    insertRecording(db, sidecar);
    db.run(
      'UPDATE docking_session SET stored = stored + 1, stored_bytes = stored_bytes + ? WHERE id = ?',
      sizeBytes,
      session.id,
    );
    db.run('DELETE FROM intake WHERE source_key = ?', sourceKey);
    db.run('DELETE FROM quarantine WHERE source_key = ?', sourceKey);
    outbox.record('recording-stored', {
      serialNumber: sidecar.serialNumber,
      sessionId: session.id,
      path: sidecar.path.slice(0, 1024),
      sizeBytes: String(sizeBytes),
      recordingId: sidecar.id,
      sha256: sidecar.sha256,
      storedPath,
      cameraDigest,
    });
    return undefined;
  });
}

/** Its place is taken by a copy that was read back. */
export async function removeDamaged(disk: Disk, path: string): Promise<void> {
  await disk.remove(sidecarPath(path));
  await disk.remove(path);
}

async function toleratingDiskFaults(work: () => PromiseLike<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!hasCode(error, 'vault.disk-full', ...suspectCodes)) throw error;
  }
}
