import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { BayPhase } from '../../protocol/mqtt/messages.ts';
import { asDockError, DockError } from '../../protocol/errors.ts';
import { listLimit, type Camera, type ListedRecording } from '../../dock/camera/camera.ts';
import type { VerifiedCopy } from '../../dock/camera/verified-copy.ts';
import type { Clock, RandomSource } from '../../dock/clock.ts';
import { settleClock } from '../clock/settle.ts';
import type { StationClockCheck } from '../clock/station-clock.ts';
import type { Config } from '../config/schema.ts';
import { admitCamera } from '../enrolment/admit.ts';
import type { Register } from '../enrolment/register.ts';
import { planIngest } from '../ingest/plan.ts';
import { expectSameCamera, pullRecording } from '../ingest/pull.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database } from '../state/database.ts';
import type { Catalogue, CatalogueEntry } from '../vault/catalogue.ts';
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
  readonly catalogue: Catalogue;
  readonly vault: Vault;
  readonly checkStationClock: StationClockCheck;
}

/** Told as a session goes on: for people who look on, never needed for its result. */
export interface SessionProgress {
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

/**
 * One docking session, from an opened camera to its account. Never throws for anything the camera, the disk or the
 * line can do: that is an outcome. `signal` ends it early with everything resumable.
 */
export async function runDockingSession(
  camera: Camera,
  docking: { readonly bay: number; readonly isFirst: boolean },
  parts: SessionParts,
  progress: SessionProgress,
  signal: AbortSignal,
): Promise<SessionResult> {
  const log = SessionLog.open(parts, docking, camera.identity);
  try {
    const end = await new DockingSession(camera, log, parts, progress, signal).run();
    return { sessionId: log.id, ...end, account: log.close(end.outcome, end.code) };
  } catch (thrown) {
    if (signal.aborted) {
      return { sessionId: log.id, outcome: 'interrupted', account: log.close('interrupted', undefined) };
    }
    const error = asDockError(thrown);
    const outcome = (await isUnchanged(camera, error, signal)) ? 'attention' : 'interrupted';
    const account = log.close(outcome, error.code);
    return { sessionId: log.id, outcome, code: error.code, detail: error.message, account };
  }
}

/**
 * Whether the camera is still there after an error, and still the same: then its bay needs attention. Otherwise the
 * bay looks afresh at what is in it.
 */
async function isUnchanged(camera: Camera, error: DockError, signal: AbortSignal): Promise<boolean> {
  if (remedyFor(error, 0) === 'reopen') return false;
  return expectSameCamera(camera, camera.identity.serialNumber, signal).then(
    () => true,
    () => false,
  );
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

class DockingSession {
  readonly #camera: Camera;
  readonly #log: SessionLog;
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
    parts: SessionParts,
    progress: SessionProgress,
    signal: AbortSignal,
  ) {
    this.#camera = camera;
    this.#log = log;
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
    const listed = await this.#list();
    const safe = await this.#pullAll(listed);
    await this.#remove(safe);
    if (this.#lastProblem) return { outcome: 'attention', ...this.#lastProblem };
    return { outcome: 'complete' };
  }

  /** What is on a camera that is not enrolled is counted and left alone. */
  async #countUntouched(): Promise<void> {
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
      listed: await this.#telltale(listed),
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

  /**
   * A recording without digest and times is told from an older one of its name and size by its bytes alone: where
   * the catalogue has such a one, the camera is asked for the digest.
   */
  async #telltale(listed: readonly ListedRecording[]): Promise<ListedRecording[]> {
    const told: ListedRecording[] = [];
    for (const recording of listed) {
      const hasNothing = (recording.sha256 ?? recording.startedAt ?? recording.endedAt) === undefined;
      const isKnown =
        hasNothing && recording.defect === undefined && this.#catalogued(recording) !== undefined;
      const sha256 = isKnown ? await this.#camera.digest?.(recording, this.#signal) : undefined;
      told.push(sha256 === undefined ? recording : { ...recording, sha256 });
    }
    return told;
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
      try {
        const proof = await pullRecording({
          camera: this.#camera,
          vault,
          recording,
          context,
          onProgress: (bytes) => {
            receivedBytes = bytes;
            onProgress(bytes);
          },
          signal: this.#signal,
        });
        return { recording, proof, entry: proof ? undefined : this.#catalogued(recording) };
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

  /** Removes from the camera what the policy allows, each with its own proof. */
  async #remove(safe: readonly Safe[]): Promise<void> {
    // "when-archived" waits for an archive to exist; until then nothing is removed.
    if (this.#parts.config.vault.removal !== 'when-verified' || !this.#camera.remove) return;
    this.#progress.phase('removing');
    for (const { recording, proof, entry } of safe) {
      const recordingId = proof?.recordingId ?? entry?.id ?? '';
      try {
        const fresh = proof ?? (entry && (await this.#parts.vault.verify(entry, this.#signal)));
        if (fresh) await this.#removeOne(recording, fresh);
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

  async #removeOne(recording: ListedRecording, proof: VerifiedCopy): Promise<void> {
    await expectSameCamera(this.#camera, this.#log.serialNumber, this.#signal);
    // The camera removes only with the digest it knows itself; one that does not know it computes it first.
    const stated = recording.sha256 ?? (await this.#camera.digest?.(recording, this.#signal));
    if (stated !== undefined && stated !== proof.sha256) {
      throw new DockError('recording.digest-mismatch', `${recording.path.slice(0, 200)}: not removed`);
    }
    this.#log.removalIntended(proof.recordingId);
    await this.#camera.remove?.(recording, proof, this.#signal);
    this.#log.recordingRemoved(proof.recordingId, proof.sha256);
  }
}
