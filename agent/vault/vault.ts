import { createHash, type Hash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { DockError, hasCode } from '../../protocol/errors.ts';
import { uuidV7, type Clock, type RandomSource } from '../../dock/clock.ts';
import type { ListedRecording } from '../../dock/camera/camera.ts';
import { attestVerifiedCopy, type VerifiedCopy } from '../../dock/camera/verified-copy.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database, Row } from '../state/database.ts';
import { catalogueEntry, sourceKeyOf, type CatalogueEntry } from './catalogue.ts';
import type { Disk, DiskFile } from './disk.ts';
import { safeName } from './safe-name.ts';

export interface VaultOptions {
  readonly folder: string;
  /** Free space that recordings never use up. */
  readonly reserveBytes: number;
}

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

/** A row of the table intake. */
interface IntakeRow {
  readonly sourceKey: string;
  readonly recordingId: string;
  readonly sessionId: string;
  readonly recording: ListedRecording;
  readonly storedPath: string;
  readonly durableBytes: number;
  readonly durableSha256: string;
}

const writeBytes = 1024 * 1024;
const readBytes = 1024 * 1024;
/** A pull that is interrupted loses at most this much, or this long, of what it received. */
const checkpointBytes = 32 * 1024 * 1024;
const checkpointMs = 10_000;

/**
 * Durable files and the rows that name them. The commit rule, in this order and no other: write, sync, compare
 * with the camera's digest, read back and compare, note the digest, link to the final name, sync the folder,
 * commit the catalogue row with its event. Only then is there a VerifiedCopy.
 *
 * A crash at any point leaves either a part that is resumed, or a final file that `recover` adopts.
 */
export class Vault {
  readonly #parts: VaultParts;
  readonly #options: VaultOptions;
  /** Bytes promised to the pulls under way and not durable yet, by source key. */
  readonly #reserved = new Map<string, number>();

  constructor(parts: VaultParts, options: VaultOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  get folder(): string {
    return this.#options.folder;
  }

  /**
   * Starts or resumes storing a recording; room for all of it is reserved first. Dispose of the intake in any
   * case. Undefined when the file of an earlier try only lacked its catalogue row, which it has now. Errors:
   * `vault.disk-full`, `vault.disk-error`.
   */
  async begin(
    recording: ListedRecording,
    context: IntakeContext,
    signal: AbortSignal,
  ): Promise<Intake | undefined> {
    const sourceKey = sourceKeyOf(context.serialNumber, recording);
    if (this.#reserved.has(sourceKey))
      throw new DockError('internal.bug', `pulled twice at once: ${sourceKey}`);
    this.#reserved.set(sourceKey, 0);
    let intake: Intake | undefined;
    try {
      intake = await this.#open(sourceKey, recording, context, signal);
      return intake;
    } finally {
      if (!intake) this.#reserved.delete(sourceKey);
    }
  }

  /**
   * Reads a stored recording back and compares it with its digest. Errors: `vault.file-missing`,
   * `vault.file-damaged`, `vault.disk-error`.
   */
  async verify(entry: CatalogueEntry, signal: AbortSignal): Promise<VerifiedCopy> {
    const { disk } = this.#parts;
    const path = join(this.#options.folder, entry.storedPath);
    await disk.dropCache(path);
    await using file = await disk.open(path, 'read');
    const { sha256, sizeBytes } = await hashFile(file, signal);
    if (sizeBytes !== entry.sizeBytes || sha256 !== entry.sha256) {
      throw new DockError('vault.file-damaged', entry.storedPath);
    }
    return attestVerifiedCopy({ recordingId: entry.id, sizeBytes, sha256 });
  }

  /** What a start finds after a crash: adopts finished files, drops what belongs to nothing. */
  async recover(signal: AbortSignal): Promise<void> {
    const { db, disk } = this.#parts;
    await disk.makeFolder(this.#options.folder);
    const keptParts = new Set<string>();
    for (const row of db.all('SELECT * FROM intake').map(intakeRow)) {
      const finalPath = join(this.#options.folder, row.storedPath);
      if (await this.#adopt(row, finalPath, signal)) continue;
      const part = partPath(finalPath, row.recordingId);
      if ((await disk.size(part)) === undefined) {
        db.run('DELETE FROM intake WHERE source_key = ?', row.sourceKey);
      } else {
        keptParts.add(part);
      }
    }
    for await (const path of disk.files(this.#options.folder)) {
      signal.throwIfAborted();
      if (isPart(path) && !keptParts.has(path)) await disk.remove(path);
    }
    await this.#checkNewestFiles();
  }

  async #open(
    sourceKey: string,
    recording: ListedRecording,
    context: IntakeContext,
    signal: AbortSignal,
  ): Promise<Intake | undefined> {
    const { disk } = this.#parts;
    await disk.makeFolder(this.#options.folder);
    const row = this.#intakeRow(sourceKey) ?? this.#insertIntake(sourceKey, recording, context);
    const finalPath = join(this.#options.folder, row.storedPath);
    if (await this.#adopt(row, finalPath, signal)) return undefined;
    await this.#reserve(sourceKey, Number(recording.sizeBytes) - row.durableBytes);
    await disk.makeFolder(dirname(finalPath));
    const resumed = await this.#openPart(row, partPath(finalPath, row.recordingId));
    return new Intake({
      ...this.#parts,
      ...resumed,
      row: { ...row, durableBytes: resumed.receivedBytes, sessionId: context.sessionId, recording },
      serialNumber: context.serialNumber,
      finalPath,
      onDurable: (remainingBytes) => this.#reserved.set(sourceKey, remainingBytes),
      onClosed: () => this.#reserved.delete(sourceKey),
    });
  }

  /** A file linked to its final name, whose row was not committed yet. */
  async #adopt(row: IntakeRow, finalPath: string, signal: AbortSignal): Promise<boolean> {
    const { disk } = this.#parts;
    if ((await disk.size(finalPath)) === undefined) return false;
    const found = await readFile(disk, finalPath, signal).catch(undefinedIfUnreadable);
    if (found?.sizeBytes !== Number(row.recording.sizeBytes) || found.sha256 !== row.durableSha256) {
      // Not what was noted before the link, so it was never committed: start again.
      await disk.remove(finalPath);
      return false;
    }
    await disk.remove(partPath(finalPath, row.recordingId));
    await disk.syncFolder(dirname(finalPath));
    const { db, outbox } = this.#parts;
    db.transaction(() => {
      commitRecording(this.#parts, row, { sha256: found.sha256, cameraDigest: 'unknown' });
      outbox.record('vault-file-adopted', { recordingId: row.recordingId, storedPath: row.storedPath });
    });
    return true;
  }

  /** A lost folder entry would show among the files stored last before a power cut. */
  async #checkNewestFiles(): Promise<void> {
    const { db, disk, outbox } = this.#parts;
    for (const row of db.all('SELECT * FROM recording ORDER BY id DESC LIMIT 200')) {
      const entry = catalogueEntry(row);
      const sizeBytes = await disk.size(join(this.#options.folder, entry.storedPath));
      if (sizeBytes === entry.sizeBytes) continue;
      outbox.record('vault-problem', {
        code: sizeBytes === undefined ? 'vault.file-missing' : 'vault.file-damaged',
        detail: entry.storedPath,
      });
    }
  }

  async #reserve(sourceKey: string, bytes: number): Promise<void> {
    const free = await this.#parts.disk.freeBytes(this.#options.folder);
    // From here to the promise nothing waits: two pulls never count on the same bytes.
    const others = [...this.#reserved].reduce(
      (sum, [key, value]) => (key === sourceKey ? sum : sum + value),
      0,
    );
    const needed = bytes + others + this.#options.reserveBytes;
    if (free < needed) throw new DockError('vault.disk-full', `${needed} bytes needed, ${free} free`);
    this.#reserved.set(sourceKey, bytes);
  }

  #intakeRow(sourceKey: string): IntakeRow | undefined {
    const row = this.#parts.db.get('SELECT * FROM intake WHERE source_key = ?', sourceKey);
    return row && intakeRow(row);
  }

  #insertIntake(sourceKey: string, recording: ListedRecording, context: IntakeContext): IntakeRow {
    const { clock, random, db } = this.#parts;
    const recordingId = uuidV7(clock, random);
    const day = new Date(clock.now()).toISOString().slice(0, 10);
    const name = safeName(recording.path, recordingId.slice(-12));
    const row: IntakeRow = {
      sourceKey,
      recordingId,
      sessionId: context.sessionId,
      recording,
      storedPath: join(context.serialNumber, day, name),
      durableBytes: 0,
      durableSha256: createHash('sha256').digest('hex'),
    };
    db.run(
      `INSERT INTO intake (source_key, recording_id, session_id, recording, stored_path, durable_bytes,
         durable_sha256) VALUES (?, ?, ?, ?, ?, 0, ?)`,
      row.sourceKey,
      row.recordingId,
      row.sessionId,
      JSON.stringify({ ...recording, sizeBytes: Number(recording.sizeBytes) }),
      row.storedPath,
      row.durableSha256,
    );
    return row;
  }

  /** Opens the part at its last durable byte, or a new one where that cannot be trusted. */
  async #openPart(row: IntakeRow, path: string): Promise<OpenPart> {
    const { disk } = this.#parts;
    const resumed = await this.#resumePart(row, path).catch(undefinedIfUnreadable);
    if (resumed) return resumed;
    await disk.remove(path);
    const file = await disk.open(path, 'create');
    return { file, partPath: path, hash: createHash('sha256'), receivedBytes: 0 };
  }

  /** The part of an earlier try, if what is there still has the digest that was noted. */
  async #resumePart(row: IntakeRow, path: string): Promise<OpenPart | undefined> {
    const { disk } = this.#parts;
    const sizeBytes = await disk.size(path);
    if (sizeBytes === undefined || row.durableBytes === 0 || sizeBytes < row.durableBytes) return undefined;
    await using stack = new AsyncDisposableStack();
    const file = stack.use(await disk.open(path, 'extend'));
    await file.truncate(row.durableBytes);
    const hash = createHash('sha256');
    for await (const chunk of chunksOf(file)) hash.update(chunk);
    if (hash.copy().digest('hex') !== row.durableSha256) return undefined;
    stack.move();
    return { file, partPath: path, hash, receivedBytes: row.durableBytes };
  }
}

interface OpenPart {
  readonly file: DiskFile;
  readonly partPath: string;
  readonly hash: Hash;
  readonly receivedBytes: number;
}

interface IntakeParts extends VaultParts, OpenPart {
  readonly row: IntakeRow;
  readonly serialNumber: string;
  readonly finalPath: string;
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

  /** Where to go on reading from the camera. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Errors: `vault.disk-full`, `vault.disk-error`; the intake is of no use after one. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    this.#receivedBytes += chunk.length;
    if (chunk.length >= writeBytes / 4) {
      await this.#flush();
      await this.#guard(() => this.#file.append(chunk));
    } else {
      await this.#append(chunk);
    }
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
    await this.#guard(async () => {
      await disk.dropCache(part);
      const back = await hashFile(this.#file, signal);
      if (back.sha256 !== sha256 || back.sizeBytes !== sizeBytes) {
        throw new DockError('vault.read-back-mismatch', row.storedPath);
      }
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
    commitRecording(this.#parts, row, { sha256, cameraDigest });
    return attestVerifiedCopy({ recordingId: row.recordingId, sizeBytes, sha256 });
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
    await disk.remove(part);
    db.run('DELETE FROM intake WHERE source_key = ?', row.sourceKey);
  }

  async #append(chunk: Uint8Array): Promise<void> {
    if (this.#buffer.length === 0) this.#buffer = new Uint8Array(writeBytes);
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
      else if (hasCode(error, 'vault.disk-error', 'vault.read-back-mismatch', 'vault.file-missing'))
        this.discard();
      throw error;
    }
  }

  #abandonToCheckpoint(): void {
    this.#bufferedBytes = 0;
    this.#state = this.#durableBytes > 0 ? 'settled' : 'suspect';
  }
}

/** The last step of the commit rule: row, end of quarantine and intake, counters and event as one fact. */
function commitRecording(
  { db, outbox, clock }: Pick<VaultParts, 'db' | 'outbox' | 'clock'>,
  row: IntakeRow,
  { sha256, cameraDigest }: { sha256: string; cameraDigest: CameraDigest },
): void {
  const { recording } = row;
  const sizeBytes = Number(recording.sizeBytes);
  db.transaction(() => {
    const session = db.get('SELECT * FROM docking_session WHERE id = ?', row.sessionId);
    const serialNumber = String(session?.['serial_number']);
    db.run(
      `INSERT INTO recording (id, serial_number, source_key, source_id, path, size_bytes, kind, is_protected,
         started_at, ended_at, sha256, stored_path, stored_at, session_id, clock_offset_ms, clock_uncertainty_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      row.recordingId,
      serialNumber,
      row.sourceKey,
      recording.id,
      recording.path,
      sizeBytes,
      recording.kind,
      recording.isProtected ? 1 : 0,
      recording.startedAt ?? null,
      recording.endedAt ?? null,
      sha256,
      row.storedPath,
      Math.floor(clock.now()),
      row.sessionId,
      session?.['clock_offset_ms'] ?? null,
      session?.['clock_uncertainty_ms'] ?? null,
    );
    db.run(
      'UPDATE docking_session SET stored = stored + 1, stored_bytes = stored_bytes + ? WHERE id = ?',
      sizeBytes,
      row.sessionId,
    );
    db.run('DELETE FROM intake WHERE source_key = ?', row.sourceKey);
    db.run('DELETE FROM quarantine WHERE source_key = ?', row.sourceKey);
    outbox.record('recording-stored', {
      serialNumber,
      sessionId: row.sessionId,
      path: recording.path.slice(0, 1024),
      sizeBytes: String(sizeBytes),
      recordingId: row.recordingId,
      sha256,
      storedPath: row.storedPath,
      cameraDigest,
    });
  });
}

/** A file that was never committed and cannot be read is worth as much as none. */
function undefinedIfUnreadable(error: unknown): undefined {
  if (!hasCode(error, 'vault.disk-error')) throw error;
  return undefined;
}

async function toleratingDiskFaults(work: () => PromiseLike<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!hasCode(error, 'vault.disk-full', 'vault.disk-error', 'vault.file-missing')) throw error;
  }
}

async function readFile(
  disk: Disk,
  path: string,
  signal: AbortSignal,
): Promise<{ sha256: string; sizeBytes: number }> {
  await using file = await disk.open(path, 'read');
  return await hashFile(file, signal);
}

async function hashFile(file: DiskFile, signal: AbortSignal): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of chunksOf(file)) {
    signal.throwIfAborted();
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

/** The chunk is only valid until the next one is asked for. */
async function* chunksOf(file: DiskFile): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(readBytes);
  for (let position = 0; ;) {
    const count = await file.read(buffer, position);
    if (count === 0) return;
    position += count;
    yield buffer.subarray(0, count);
  }
}

function partPath(finalPath: string, recordingId: string): string {
  return join(dirname(finalPath), `.part-${recordingId}`);
}

function isPart(path: string): boolean {
  return /\/\.part-[0-9a-f-]{36}$/.test(path);
}

function intakeRow(row: Row): IntakeRow {
  return {
    sourceKey: String(row['source_key']),
    recordingId: String(row['recording_id']),
    sessionId: String(row['session_id']),
    recording: JSON.parse(String(row['recording'])) as ListedRecording,
    storedPath: String(row['stored_path']),
    durableBytes: Number(row['durable_bytes']),
    durableSha256: String(row['durable_sha256']),
  };
}
