import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { DockError, hasCode } from '../../protocol/errors.ts';
import { uuidV7 } from '../../dock/clock.ts';
import type { ListedRecording } from '../../dock/camera/camera.ts';
import { attestVerifiedCopy, type VerifiedCopy } from '../../dock/camera/verified-copy.ts';
import { catalogueEntry, sourceKeyOf, type CatalogueEntry } from './catalogue.ts';
import {
  commitRecording,
  Intake,
  removeDamaged,
  type IntakeContext,
  type OpenPart,
  type VaultParts,
} from './intake.ts';
import { intakeRow, isPart, partPath, type IntakeRow } from './intake-row.ts';
import { chunksOf, hashFile, readBack } from './read-back.ts';
import { safeName } from './safe-name.ts';
import { describeRecording, sidecarPath, writeSidecar } from './sidecar.ts';

export interface VaultOptions {
  readonly folder: string;
  /** Free space that recordings never use up. */
  readonly reserveBytes: number;
}
/**
 * Durable files and the rows that name them. The commit rule, in this order and no other: write, sync, compare
 * with the camera's digest, read back and compare, note the digest, write and sync the sidecar, link to the final
 * name, sync the folder, commit the catalogue row with its event. Only then is there a VerifiedCopy.
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
   * `vault.disk-full`, `vault.disk-error`, `vault.read-only`, `vault.not-mounted`.
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
   * Reads a stored recording back and compares it with its digest; `pace` may hold it back. Errors:
   * `vault.file-missing`, `vault.file-damaged`, `vault.disk-error`.
   */
  async verify(
    entry: CatalogueEntry,
    signal: AbortSignal,
    pace?: (bytes: number) => Promise<void>,
  ): Promise<VerifiedCopy> {
    const { disk } = this.#parts;
    const path = join(this.#options.folder, entry.storedPath);
    await disk.dropCache(path);
    await using file = await disk.open(path, 'read');
    const { sha256, sizeBytes } = await hashFile(file, { signal, expectedBytes: entry.sizeBytes, pace });
    if (sizeBytes !== entry.sizeBytes || sha256 !== entry.sha256) {
      throw new DockError('vault.file-damaged', entry.storedPath);
    }
    return attestVerifiedCopy({ recordingId: entry.id, sizeBytes, sha256 });
  }

  /** Digest of the first bytes of a stored recording, and how many there were. Errors as of `verify`. */
  async headDigest(
    entry: CatalogueEntry,
    lengthBytes: number,
  ): Promise<{ sha256: string; sizeBytes: number }> {
    await using file = await this.#parts.disk.open(join(this.#options.folder, entry.storedPath), 'read');
    const head = new Uint8Array(Math.min(lengthBytes, entry.sizeBytes));
    const sizeBytes = await file.read(head, 0);
    const sha256 = createHash('sha256').update(head.subarray(0, sizeBytes)).digest('hex');
    return { sha256, sizeBytes };
  }

  /** What a start finds after a crash: adopts finished files, drops what belongs to nothing. */
  async recover(signal: AbortSignal): Promise<void> {
    const { db, disk } = this.#parts;
    await this.#expectFolder();
    const keptParts = new Set<string>();
    for (const row of db.all('SELECT * FROM intake').map(intakeRow)) {
      const finalPath = join(this.#options.folder, row.storedPath);
      if (this.#isAccountClosed(row)) {
        // Its account was reported: the session that asks for the recording next adopts the file, in `begin`.
        if ((await disk.size(finalPath)) !== undefined) continue;
      } else if (await this.#adopt(row, finalPath, signal)) continue;
      const part = partPath(finalPath, row.recordingId);
      if ((await disk.size(part)) === undefined) {
        await disk.remove(sidecarPath(finalPath));
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

  /**
   * Made once. Gone with all it held, it is on a disk that is not mounted: what would be stored in its place would be
   * hidden as soon as the disk is back.
   */
  async #expectFolder(): Promise<void> {
    const { db, disk } = this.#parts;
    const { folder } = this.#options;
    if (!db.get('SELECT id FROM recording LIMIT 1')) return disk.makeFolder(folder);
    await disk.freeBytes(folder).catch((cause: unknown) => {
      throw hasCode(cause, 'vault.file-missing')
        ? new DockError('vault.not-mounted', folder, { cause })
        : cause;
    });
  }

  async #open(
    sourceKey: string,
    recording: ListedRecording,
    context: IntakeContext,
    signal: AbortSignal,
  ): Promise<Intake | undefined> {
    const { disk } = this.#parts;
    await this.#expectFolder();
    const row = this.#intakeRow(sourceKey) ?? this.#insertIntake(sourceKey, recording, context);
    const finalPath = join(this.#options.folder, row.storedPath);
    // What an earlier try left linked counts for the session that finds it.
    if (await this.#adopt({ ...row, sessionId: context.sessionId }, finalPath, signal)) return undefined;
    await this.#reserve(sourceKey, Number(recording.sizeBytes) - row.durableBytes);
    await disk.makeFolder(dirname(finalPath));
    const resumed = await this.#openPart(row, partPath(finalPath, row.recordingId));
    return new Intake({
      ...this.#parts,
      ...resumed,
      row: { ...row, durableBytes: resumed.receivedBytes, sessionId: context.sessionId, recording },
      begunInSession: row.sessionId,
      serialNumber: context.serialNumber,
      finalPath,
      folder: this.#options.folder,
      onDurable: (remainingBytes) => this.#reserved.set(sourceKey, remainingBytes),
      onClosed: () => this.#reserved.delete(sourceKey),
    });
  }

  /** A file linked to its final name, whose row was not committed yet. */
  async #adopt(row: IntakeRow, finalPath: string, signal: AbortSignal): Promise<boolean> {
    const { disk } = this.#parts;
    if ((await disk.size(finalPath)) === undefined) return false;
    const found = await readBack(disk, finalPath, {
      signal,
      expectedBytes: Number(row.recording.sizeBytes),
    }).catch(undefinedIfUnreadable);
    if (found?.sizeBytes !== Number(row.recording.sizeBytes) || found.sha256 !== row.durableSha256) {
      // Not what was noted before the link, so it was never committed: start again.
      await disk.remove(finalPath);
      await disk.remove(sidecarPath(finalPath));
      return false;
    }
    const { db, outbox, clock } = this.#parts;
    const storedAt = Math.floor(clock.now());
    const sidecar = describeRecording(db, row, { sha256: found.sha256, storedAt });
    // Afresh: the session that adopts it need not be the one that wrote it, and a crash may have lost its name.
    await writeSidecar(disk, finalPath, sidecar);
    await disk.remove(partPath(finalPath, row.recordingId));
    await disk.syncFolder(dirname(finalPath));
    const damagedPath = db.transaction(() => {
      const replaced = commitRecording(this.#parts, sidecar, { ...row, cameraDigest: 'unknown' });
      outbox.record('vault-file-adopted', { recordingId: sidecar.id, storedPath: row.storedPath });
      return replaced;
    });
    if (damagedPath !== undefined) await removeDamaged(disk, join(this.#options.folder, damagedPath));
    return true;
  }

  #isAccountClosed({ sessionId }: IntakeRow): boolean {
    const row = this.#parts.db.get('SELECT ended_at FROM docking_session WHERE id = ?', sessionId);
    return row !== undefined && row['ended_at'] !== null;
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
    if (await this.#promise(sourceKey, bytes)) return;
    // Parts of pulls that nobody is working on are only time saved: they make way, the oldest first.
    for (const row of this.#parts.db.all('SELECT * FROM intake ORDER BY recording_id').map(intakeRow)) {
      if (this.#reserved.has(row.sourceKey) || row.durableBytes === 0) continue;
      await this.#dropPart(row);
      if (await this.#promise(sourceKey, bytes)) return;
    }
    const free = await this.#parts.disk.freeBytes(this.#options.folder);
    throw new DockError('vault.disk-full', `${bytes} bytes needed, ${free} free`);
  }

  /** Promises the bytes if they are there beside what was promised to others. */
  async #promise(sourceKey: string, bytes: number): Promise<boolean> {
    const free = await this.#parts.disk.freeBytes(this.#options.folder);
    // From here to the promise nothing waits: two pulls never count on the same bytes.
    const others = [...this.#reserved].reduce(
      (sum, [key, value]) => (key === sourceKey ? sum : sum + value),
      0,
    );
    if (free < bytes + others + this.#options.reserveBytes) return false;
    this.#reserved.set(sourceKey, bytes);
    return true;
  }

  async #dropPart(row: IntakeRow): Promise<void> {
    const { db, disk } = this.#parts;
    const finalPath = join(this.#options.folder, row.storedPath);
    if ((await disk.size(finalPath)) !== undefined) return; // complete, waiting to be adopted
    await disk.remove(sidecarPath(finalPath));
    await disk.remove(partPath(finalPath, row.recordingId));
    db.run('DELETE FROM intake WHERE source_key = ?', row.sourceKey);
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
    for await (const chunk of chunksOf(file, row.durableBytes)) hash.update(chunk);
    if (hash.copy().digest('hex') !== row.durableSha256) return undefined;
    stack.move();
    return { file, partPath: path, hash, receivedBytes: row.durableBytes };
  }
}
/** A file that was never committed and cannot be read is worth as much as none. */
function undefinedIfUnreadable(error: unknown): undefined {
  if (!hasCode(error, 'vault.disk-error')) throw error;
  return undefined;
}
