import { createHash } from 'node:crypto';
import { DockError, hasCode } from '../../protocol/errors.ts';
import type { Camera, ListedRecording } from '../../dock/camera/camera.ts';
import type { VerifiedCopy } from '../../dock/camera/verified-copy.ts';
import type { CameraDigest, Intake, IntakeContext } from '../vault/intake.ts';
import type { Vault } from '../vault/vault.ts';

export interface PullRequest {
  readonly camera: Camera;
  readonly vault: Vault;
  readonly recording: ListedRecording;
  readonly context: IntakeContext;
  /** Called with the bytes received so far. */
  readonly onProgress: (receivedBytes: number) => void;
  readonly signal: AbortSignal;
}

/**
 * One try to bring one recording from the camera into the vault: read from where the last try stopped, compare
 * with the camera's digest, make sure it is still the same camera, commit. Undefined when an earlier try turned
 * out to have stored it already.
 *
 * Errors: `recording.*`, `wire.*`, `link.closed`, `camera.identity-changed`, `vault.*`. After any of them the
 * next try resumes, or starts over where the bytes cannot be trusted.
 */
export async function pullRecording(request: PullRequest): Promise<VerifiedCopy | undefined> {
  const { camera, recording, context, signal } = request;
  const opened = await begin(request);
  if (!opened) return undefined;
  await using intake = opened;
  try {
    await receive(intake, request);
    await expectSameCamera(camera, context.serialNumber, signal);
    const cameraDigest = await compareDigest(camera, recording, intake.sha256(), signal);
    return await intake.commit(cameraDigest, signal);
  } catch (error) {
    const isSuspect = hasCode(error, 'camera.identity-changed', 'recording.digest-mismatch');
    if (isSuspect || !(await isWorthKeeping(request))) intake.discard();
    throw error;
  }
}

/**
 * Without a digest a part of another session may be of another recording: cameras that lost their time count names and
 * times from the start again, and cut their files to one size. Then it starts over.
 */
async function begin({
  camera,
  vault,
  recording,
  context,
  signal,
}: PullRequest): Promise<Intake | undefined> {
  const intake = await vault.begin(recording, context, signal);
  const isTold = (recording.sha256 ?? camera.digest) !== undefined;
  if (!intake || isTold || intake.receivedBytes === 0 || intake.begunInSession === context.sessionId) {
    return intake;
  }
  intake.discard();
  await intake[Symbol.asyncDispose]();
  return vault.begin(recording, context, signal);
}

/**
 * Whether a later try may go on from what was received. Where the camera has a digest, that will tell whether it all
 * came from one camera; where it has none, the camera must still be the same now.
 */
async function isWorthKeeping({ camera, recording, context, signal }: PullRequest): Promise<boolean> {
  if (recording.sha256 !== undefined || camera.digest) return true;
  return expectSameCamera(camera, context.serialNumber, signal).then(
    () => true,
    () => false,
  );
}

async function receive(
  intake: Intake,
  { camera, recording, onProgress, signal }: PullRequest,
): Promise<void> {
  const sizeBytes = Number(recording.sizeBytes);
  onProgress(intake.receivedBytes);
  if (intake.receivedBytes === sizeBytes) return;
  for await (const chunk of camera.read(recording, intake.receivedBytes, signal)) {
    if (intake.receivedBytes + chunk.length > sizeBytes) {
      throw new DockError('recording.size-mismatch', `more than the ${sizeBytes} bytes listed`);
    }
    await intake.write(chunk);
    onProgress(intake.receivedBytes);
  }
  if (intake.receivedBytes !== sizeBytes) {
    throw new DockError('recording.size-mismatch', `${intake.receivedBytes} of ${sizeBytes} bytes`);
  }
}

/** The digest of what the camera holds now, by reading all of it. Lower-case hex SHA-256. */
export async function digestByReading(
  camera: Camera,
  recording: ListedRecording,
  onChunk: () => void,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of camera.read(recording, 0, signal)) {
    hash.update(chunk);
    onChunk();
  }
  return hash.digest('hex');
}

/** A camera swapped for another between two reads answers with another serial number. */
export async function expectSameCamera(
  camera: Camera,
  serialNumber: string,
  signal: AbortSignal,
): Promise<void> {
  const now = await camera.readIdentity(signal);
  if (now.serialNumber !== serialNumber) {
    throw new DockError('camera.identity-changed', `${serialNumber} became ${now.serialNumber}`);
  }
}

/** Errors: `recording.digest-mismatch`. */
async function compareDigest(
  camera: Camera,
  recording: ListedRecording,
  sha256: string,
  signal: AbortSignal,
): Promise<CameraDigest> {
  const stated = recording.sha256 ?? (await camera.digest?.(recording, signal));
  if (stated === undefined) return 'unknown';
  if (stated !== sha256)
    throw new DockError('recording.digest-mismatch', `${stated} stated, ${sha256} received`);
  return recording.sha256 === undefined ? 'computed' : 'listed';
}
