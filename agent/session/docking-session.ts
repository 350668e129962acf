import { createHash } from 'node:crypto';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { BayPhase } from '../../protocol/mqtt/documents.ts';
import { asDockError, DockError, hasCode } from '../../protocol/errors.ts';
import { listLimit, type Camera, type ListedRecording } from '../../dock/camera/camera.ts';
import type { VerifiedCopy } from '../../dock/camera/verified-copy.ts';
import type { Clock, RandomSource } from '../../dock/clock.ts';
import { settleClock } from '../clock/settle.ts';
import type { StationClockCheck } from '../clock/station-clock.ts';
import type { Config } from '../config/schema.ts';
import { admitCamera } from '../enrolment/admit.ts';
import type { ProvenAttachments } from '../enrolment/proven-attachments.ts';
import type { Register } from '../enrolment/register.ts';
import { planIngest } from '../ingest/plan.ts';
import { digestByReading, expectSameCamera, pullRecording } from '../ingest/pull.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database } from '../state/database.ts';
import { sourceKeyOf, type Catalogue, type CatalogueEntry } from '../vault/catalogue.ts';
import type { Vault } from '../vault/vault.ts';
import { remedyFor } from './remedy.ts';
import { lastClockSetting, SessionLog, type SessionAccount, type SessionOutcome } from './session-log.ts';

/** Everything a session works with; one for all bays. */
export interface SessionParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly db: Database;
  readonly outbox: Outbox;
  readonly register: Register;
  readonly attachments: ProvenAttachments;
  readonly catalogue: Catalogue;
  readonly vault: Vault;
  readonly checkStationClock: StationClockCheck;
}

/** Told as a session goes on: for people who look on, never needed for its result. */
export interface SessionProgress {
  /** It and the docking of its camera are written down. */
  opened(sessionId: string): void;
  /** It is getting on; the step that begins now may take `ms` longer than a step without recordings. */
  busy(ms: number): void;
  phase(phase: BayPhase): void;
  planned(work: { recordings: number; bytes: number }): void;
  pulled(progress: { recordings: number; bytes: number }): void;
}

export interface SessionResult {
  readonly sessionId: string;
  readonly outcome: SessionOutcome;
  readonly code?: ErrorCode;
  readonly detail?: string;
  readonly account: SessionAccount;
}

/** What a session knows of the stay of its camera. */
export interface Docking {
  readonly bay: number;
  readonly isFirst: boolean;
  /** Source keys of what earlier sessions of this stay compared with the stored copies: not read again. */
  readonly compared: Set<string>;
}

/**
 * One docking session, from an opened camera to its account. Never throws for anything the camera, the disk or the
 * line can do: that is an outcome. `signal` ends it early with everything resumable.
 */
export async function runDockingSession(
  camera: Camera,
  docking: Docking,
  parts: SessionParts,
  progress: SessionProgress,
  signal: AbortSignal,
): Promise<SessionResult> {
  const log = SessionLog.open(parts, docking, camera.identity);
  progress.opened(log.id);
  try {
    const end = await new DockingSession(camera, log, docking.compared, parts, progress, signal).run();
    return { sessionId: log.id, ...end, account: log.close(end.outcome, end.code) };
  } catch (thrown) {
    if (signal.aborted) {
      return { sessionId: log.id, outcome: 'interrupted', account: log.close('interrupted', undefined) };
    }
    const error = asDockError(thrown);
    const gone = await whyGone(camera, error, signal);
    const outcome = gone ? 'interrupted' : 'attention';
    const account = log.close(outcome, error.code);
    // What was wrong with the camera is in its account; the bay has to do with what became of the camera.
    const { code, message: detail } = gone ?? error;
    return { sessionId: log.id, outcome, code, detail, account };
  }
}

/**
 * How it is known after an error that the camera is not there any more, or not the same: then the bay looks afresh at
 * what is in it. Undefined while it is: its bay needs attention.
 */
async function whyGone(
  camera: Camera,
  error: DockError,
  signal: AbortSignal,
): Promise<DockError | undefined> {
  if (needsReopening(error)) return error;
  return expectSameCamera(camera, camera.identity.serialNumber, signal).then(() => undefined, asDockError);
}

function needsReopening(error: unknown): boolean {
  return remedyFor(asDockError(error), 0) === 'reopen';
}

type SessionEnd = Pick<SessionResult, 'outcome' | 'code' | 'detail'>;

/** A recording that is safe on the station; `proof` is fresh from the pull, or still to be had from the vault. */
interface Safe {
  readonly recording: ListedRecording;
  readonly proof: VerifiedCopy | undefined;
  readonly entry: CatalogueEntry | undefined;
}

/** How much of a recording that stays on its camera is compared with the stored one. */
const comparedBytes = 4096;

/** Disks and cameras that hash a whole recording, without a word meanwhile, are faster than that. */
const slowestBytesPerMs = 500;

function longestMs({ sizeBytes }: { sizeBytes: number | bigint }): number {
  return Number(sizeBytes) / slowestBytesPerMs;
}

class DockingSession {
  readonly #camera: Camera;
  readonly #log: SessionLog;
  readonly #compared: Set<string>;
  readonly #parts: SessionParts;
  readonly #progress: SessionProgress;
  readonly #signal: AbortSignal;
  #lastProblem: { code: ErrorCode; detail: string } | undefined;
  #isListWhole = true;
  /** The vault has no room for recordings from this size on. */
  #noRoomFromBytes = Infinity;

  constructor(
    camera: Camera,
    log: SessionLog,
    compared: Set<string>,
    parts: SessionParts,
    progress: SessionProgress,
    signal: AbortSignal,
  ) {
    this.#camera = camera;
    this.#log = log;
    this.#compared = compared;
    this.#parts = parts;
    this.#progress = progress;
    this.#signal = signal;
  }

  async run(): Promise<SessionEnd> {
    this.#progress.phase('enrolling');
    const admission = await admitCamera(this.#camera, {
      ...this.#parts,
      policy: this.#parts.config.post.enrolment,
      signal: this.#signal,
    });
    if (admission.kind === 'refused') {
      await this.#countUntouched();
      return { outcome: 'refused', code: admission.code, detail: admission.reason };
    }
    await this.#settleClock();
    await this.#readHealth();
    this.#progress.phase('listing');
    const { provenBy } = admission;
    if (provenBy === 'challenge') this.#noteAttachment({ mayReappear: true }); // listing may unlock it
    const listed = await this.#list();
    if (provenBy) this.#noteAttachment({ mayReappear: false });
    const safe = await this.#pullAll(listed);
    // What a camera still holds proves what monitoring has not heard.
    const isHeldBack = this.#mayRemove && safe.length > 0 && this.#parts.outbox.backlog() !== 'ok';
    if (this.#mayRemove && !isHeldBack) await this.#remove(safe);
    else await this.#compareHeld(safe);
    if (isHeldBack)
      this.#lastProblem ??= {
        code: 'report.backlog',
        detail: `${safe.length} recordings stay on the camera`,
      };
    if (this.#lastProblem) return { outcome: 'attention', ...this.#lastProblem };
    return { outcome: 'complete' };
  }

  #noteAttachment(window: { mayReappear: boolean }): void {
    const { attachment } = this.#camera;
    if (attachment) this.#parts.attachments.note(this.#log.serialNumber, attachment, window);
  }

  /** What is on a camera that is not enrolled is counted and left alone; a locked one is not unlocked for that. */
  async #countUntouched(): Promise<void> {
    if (this.#camera.isLocked) return;
    const listed = await this.#list().catch((error: unknown) => {
      if (needsReopening(error)) throw error;
      return [];
    });
    this.#progress.planned({ recordings: listed.length, bytes: 0 });
    this.#log.recordingsRefused(listed.map((recording) => ({ recording, code: 'recording.not-enrolled' })));
  }

  async #settleClock(): Promise<void> {
    const { clock, db, checkStationClock, config } = this.#parts;
    if (!this.#camera.clock) return;
    this.#progress.phase('clock');
    await settleClock(this.#camera.clock, this.#log, {
      clock,
      checkStationClock,
      toleranceMs: config.clock.tolerance_ms,
      measureForMs: config.clock.measure_for_ms,
      lastSetting: lastClockSetting(db, this.#log.serialNumber),
      signal: this.#signal,
    });
    await expectSameCamera(this.#camera, this.#log.serialNumber, this.#signal);
  }

  /** Health is a report, not a condition: a camera that cannot tell it is emptied all the same. */
  async #readHealth(): Promise<void> {
    try {
      const health = await this.#camera.health?.(this.#signal);
      if (health) this.#log.health(health);
    } catch (error) {
      if (needsReopening(error)) throw error;
      this.#log.noHealth(asDockError(error).message);
    }
  }

  async #list(): Promise<ListedRecording[]> {
    const listed: ListedRecording[] = [];
    const isTooMany = listLimit();
    for await (const recording of this.#camera.recordings(this.#signal)) {
      this.#progress.busy(0);
      if (isTooMany(recording)) {
        const error = new DockError('camera.listing-endless', `more than ${listed.length} recordings`);
        this.#lastProblem = { code: error.code, detail: error.message };
        this.#isListWhole = false;
        break;
      }
      listed.push(recording);
    }
    this.#log.count('listed', listed.length);
    return listed;
  }

  async #pullAll(listed: readonly ListedRecording[]): Promise<Safe[]> {
    const { catalogue, config } = this.#parts;
    if (this.#isListWhole) this.#log.settleRemovals(listed);
    const steps = planIngest({
      serialNumber: this.#log.serialNumber,
      listed,
      maxRecordingBytes: config.vault.max_recording_bytes,
      find: (sourceKey, sha256) => catalogue.find(sourceKey, sha256),
    });
    const pulls = steps.filter(({ kind }) => kind === 'pull');
    const plannedBytes = pulls.reduce((sum, { recording }) => sum + Number(recording.sizeBytes), 0);
    this.#progress.phase('pulling');
    // Stated sizes may add up to more than an integer holds.
    const bytes = Math.min(plannedBytes, Number.MAX_SAFE_INTEGER);
    this.#progress.planned({ recordings: pulls.length, bytes });
    this.#log.recordingsRefused(steps.filter((step) => step.kind === 'refuse'));

    const safe: Safe[] = [];
    let done = { recordings: 0, bytes: 0 };
    for (const step of steps) {
      const { recording } = step;
      switch (step.kind) {
        case 'refuse':
          break; // done above, all at once: a broken list may hold very many
        case 'held':
          this.#log.count('held');
          safe.push({ recording, proof: undefined, entry: step.entry });
          break;
        case 'pull': {
          const before = done;
          const pulled = await this.#pull(recording, (bytes) =>
            this.#progress.pulled({ ...before, bytes: before.bytes + bytes }),
          );
          if (pulled) safe.push(pulled);
          done = { recordings: done.recordings + 1, bytes: done.bytes + Number(recording.sizeBytes) };
          this.#progress.pulled(done);
        }
      }
    }
    return safe;
  }

  /** Tries a recording until it is stored or has to be left; undefined when it was quarantined. */
  async #pull(recording: ListedRecording, onProgress: (bytes: number) => void): Promise<Safe | undefined> {
    const { vault, clock } = this.#parts;
    const context = { serialNumber: this.#log.serialNumber, sessionId: this.#log.id };
    if (recording.sizeBytes >= this.#noRoomFromBytes) {
      return this.#quarantine(recording, new DockError('vault.disk-full', `${recording.sizeBytes} bytes`));
    }
    let furthestBytes = -1;
    for (let fruitless = 1; ; fruitless++) {
      let receivedBytes = 0;
      const startedMs = clock.monotonic();
      this.#progress.busy(longestMs(recording)); // what an earlier try received is hashed again
      try {
        const proof = await pullRecording({
          camera: this.#camera,
          vault,
          recording,
          context,
          onProgress: (bytes) => {
            receivedBytes = bytes;
            // After the last byte it is hashed by the camera and read back from the disk.
            this.#progress.busy(bytes < Number(recording.sizeBytes) ? 0 : 2 * longestMs(recording));
            onProgress(bytes);
          },
          signal: this.#signal,
        });
        if (proof) return { recording, proof, entry: undefined };
        const entry = this.#catalogued(recording);
        if (entry) return { recording, proof, entry };
        // What an earlier session left complete was, by its digest, another recording: this one is stored besides.
        this.#log.count('listed');
      } catch (thrown) {
        this.#signal.throwIfAborted();
        const error = asDockError(thrown);
        if (receivedBytes > furthestBytes) fruitless = 1;
        furthestBytes = Math.max(furthestBytes, receivedBytes);
        const remedy = remedyFor(error, fruitless);
        if (remedy !== 'again' && remedy !== 'quarantine') throw error;
        // A silent camera is gone, and its recordings with it; only a camera that answers has a bad recording.
        await expectSameCamera(this.#camera, this.#log.serialNumber, this.#signal);
        if (remedy === 'again') continue;
        if (error.code === 'vault.disk-full') this.#noRoomFromBytes = Number(recording.sizeBytes);
        return this.#quarantine(recording, error);
      } finally {
        this.#log.pulling(clock.monotonic() - startedMs);
      }
    }
  }

  #quarantine(recording: ListedRecording, error: DockError): undefined {
    this.#log.recordingQuarantined(recording, error.code, error.message);
    this.#lastProblem = { code: error.code, detail: error.message };
  }

  #catalogued(recording: ListedRecording): CatalogueEntry | undefined {
    return this.#parts.catalogue.findRecording(this.#log.serialNumber, recording);
  }

  /** "when-archived" waits for an archive to exist; until then nothing is removed. */
  get #mayRemove(): boolean {
    return this.#parts.config.vault.removal === 'when-verified' && this.#camera.remove !== undefined;
  }

  /**
   * A name, a size and a time may come twice: what stays on the camera is held when it begins as the stored one does,
   * and pulled when it is another one by its digest. Before a removal all of it is compared. What cannot be read is
   * quarantined.
   */
  async #compareHeld(safe: readonly Safe[]): Promise<void> {
    for (const { recording, proof, entry } of safe) {
      const sourceKey = sourceKeyOf(this.#log.serialNumber, recording);
      const isTold = proof !== undefined || recording.sha256 !== undefined || this.#compared.has(sourceKey);
      if (!entry || isTold) continue;
      this.#progress.busy(longestMs(recording));
      let told: ListedRecording;
      try {
        told = (await this.#beginsAs(entry, recording)) ? recording : await this.#withDigest(recording);
      } catch (thrown) {
        this.#signal.throwIfAborted();
        const error = asDockError(thrown);
        if (remedyFor(error, 0) === 'reopen') throw error;
        await expectSameCamera(this.#camera, this.#log.serialNumber, this.#signal);
        this.#countAnother(entry);
        this.#quarantine(recording, error);
        continue;
      }
      if (!this.#catalogued(told)) {
        this.#countAnother(entry);
        if (!(await this.#pull(told, () => undefined))) continue;
      }
      this.#compared.add(sourceKey);
    }
  }

  /** Another recording differs soon; reading all of everything at each docking would take hours. */
  async #beginsAs(entry: CatalogueEntry, recording: ListedRecording): Promise<boolean> {
    const stored = await this.#parts.vault.headDigest(entry, comparedBytes).catch((error: unknown) => {
      if (!hasCode(error, 'vault.file-missing')) throw error;
      return undefined; // for the scrub to tell
    });
    if (!stored) return true;
    const hash = createHash('sha256');
    let missing = stored.sizeBytes;
    if (missing > 0) {
      for await (const chunk of this.#camera.read(recording, 0, this.#signal)) {
        hash.update(chunk.subarray(0, missing));
        missing -= Math.min(missing, chunk.length);
        if (missing === 0) break;
      }
    }
    return missing === 0 && hash.digest('hex') === stored.sha256;
  }

  /** Removes from the camera what the policy allows, each with its own proof. */
  async #remove(safe: readonly Safe[]): Promise<void> {
    this.#progress.phase('removing');
    for (const one of safe) {
      const { recording, proof, entry } = one;
      // Read back from the disk, and hashed by the camera.
      this.#progress.busy(2 * longestMs(recording));
      const recordingId = proof?.recordingId ?? entry?.id ?? '';
      try {
        if (proof) await this.#removeStored(recording, proof);
        else if (entry) await this.#removeHeld(recording, entry);
      } catch (thrown) {
        this.#signal.throwIfAborted();
        const error = asDockError(thrown);
        if (remedyFor(error, 0) === 'reopen') throw error;
        await expectSameCamera(this.#camera, this.#log.serialNumber, this.#signal);
        this.#log.removalFailed(recordingId, error.code, error.message);
        this.#lastProblem = { code: error.code, detail: error.message };
      }
    }
  }

  /** Stored in this session: a camera that can hash says once more that it is this one. */
  async #removeStored(recording: ListedRecording, proof: VerifiedCopy): Promise<void> {
    await expectSameCamera(this.#camera, this.#log.serialNumber, this.#signal);
    const stated = recording.sha256 ?? (await this.#camera.digest?.(recording, this.#signal));
    if (stated !== undefined && stated !== proof.sha256)
      throw new DockError('recording.digest-mismatch', `${recording.path.slice(0, 200)}: not removed`);
    await this.#removeProven(recording, proof);
  }

  /**
   * Stored in an earlier session: a name, a size and a time may come twice, so a camera that cannot hash is read again.
   * What turns out to be another recording, or to have a damaged copy, is pulled after all.
   */
  async #removeHeld(recording: ListedRecording, entry: CatalogueEntry): Promise<void> {
    await expectSameCamera(this.#camera, this.#log.serialNumber, this.#signal);
    const told = await this.#withDigest(recording);
    const known = told.sha256 === entry.sha256 ? entry : this.#catalogued(told);
    const proof = known && (await this.#proofOf(known));
    if (proof) return this.#removeProven(told, proof);
    // Before it is counted as stored or quarantined: the account may have a gap, never more than was listed.
    this.#countAnother(entry);
    const pulled = await this.#pull(told, () => undefined);
    const stored = pulled?.proof?.recordingId ?? pulled?.entry?.id;
    // A repaired copy is still the one that was held.
    if (stored !== undefined && stored === known?.id) this.#countAnother(entry, -1);
    const fresh = pulled?.proof ?? (pulled?.entry && (await this.#proofOf(pulled.entry)));
    if (fresh) await this.#removeStored(told, fresh);
  }

  /**
   * What the camera lists is not this copy of it. One that this session took over from an earlier one is stored in this
   * account all the same, besides what the camera lists now.
   */
  #countAnother(entry: CatalogueEntry, by = 1): void {
    if (entry.sessionId === this.#log.id) this.#log.count('listed', by);
    else this.#log.count('held', -by);
  }

  /** Undefined when the stored copy is not whole any more. */
  async #proofOf(entry: CatalogueEntry): Promise<VerifiedCopy | undefined> {
    try {
      return await this.#parts.vault.verify(entry, this.#signal);
    } catch (error) {
      if (!hasCode(error, 'vault.file-damaged', 'vault.file-missing')) throw error;
      const { code } = asDockError(error);
      this.#parts.outbox.record('vault-problem', { code, detail: entry.storedPath });
      return undefined;
    }
  }

  async #removeProven(recording: ListedRecording, proof: VerifiedCopy): Promise<void> {
    this.#log.removalIntended(proof.recordingId);
    await this.#camera.remove?.(recording, proof, this.#signal);
    this.#log.recordingRemoved(proof.recordingId, proof.sha256);
  }

  /** Of what the camera holds now: as it says, or as reading all of it says. */
  async #withDigest(recording: ListedRecording): Promise<ListedRecording & { readonly sha256: string }> {
    const stated = recording.sha256 ?? (await this.#camera.digest?.(recording, this.#signal));
    const onChunk = (): void => this.#progress.busy(0);
    const sha256 = stated ?? (await digestByReading(this.#camera, recording, onChunk, this.#signal));
    return { ...recording, sha256 };
  }
}
