import { DockError } from '../../protocol/errors.ts';
import { ptpOperation, ptpResponse } from '../../protocol/ptp/codes.ts';
import type { ListedRecording } from './camera.ts';
import type { MtpDevice } from './mtp-device.ts';
import type { FoundObject, MtpListing } from './mtp-listing.ts';
import { readChildren, readObject, SessionLost } from './mtp-objects.ts';
import { lookUp } from './mtp-reading.ts';
import { isWireTrouble } from './ptp-exchange.ts';
import { isVerifiedCopy, type VerifiedCopy } from './verified-copy.ts';

const tries = 4;

/**
 * Removes a recording and sees that it is gone: its handle means nothing any more, and its folder does not list it.
 * Deleting is never repeated blindly; after a lost answer the recording is looked for first, and where several share
 * its path nothing is removed: the next one would pass for it.
 * Errors: `removal.refused`, `recording.stalled` when it cannot be told whether it is there, `internal.bug` without a
 * proof, `wire.*`, `link.closed`.
 */
export async function removeRecording(
  device: MtpDevice,
  listing: MtpListing,
  request: { recording: ListedRecording; proof: VerifiedCopy; signal: AbortSignal },
): Promise<void> {
  const { recording, proof, signal } = request;
  signal.throwIfAborted();
  if (!isVerifiedCopy(proof)) throw new DockError('internal.bug', 'removal without a verified copy');
  if (BigInt(proof.sizeBytes) !== BigInt(recording.sizeBytes)) {
    throw refused(recording, `the copy has ${proof.sizeBytes} bytes, the recording ${recording.sizeBytes}`);
  }
  let asked: FoundObject | undefined;
  for (let attempt = 1; attempt <= tries; attempt++) {
    try {
      const found = await findForRemoval(device, listing, recording, signal);
      if (!found) return;
      if (asked?.epoch === found.epoch && asked.handle !== found.handle) {
        throw refused(recording, 'another one is in its place');
      }
      asked = found;
      await removeObject(device, listing, { found, recording, signal });
      listing.forget(recording.id);
      return;
    } catch (error) {
      const isAgain =
        error instanceof SessionLost || (isWireTrouble(error) && !device.session.isBeyondRecovery);
      if (!isAgain || (attempt === tries && !(error instanceof SessionLost))) throw error;
      listing.forget(recording.id);
    }
  }
  throw refused(recording, 'the camera keeps losing its session');
}

/** Undefined when it is gone already. What is there now but is not what was listed, is not removed. */
async function findForRemoval(
  device: MtpDevice,
  listing: MtpListing,
  recording: ListedRecording,
  signal: AbortSignal,
): Promise<FoundObject | undefined> {
  const seen = await lookUp(device, listing, { recording, signal }).catch((error: unknown) => {
    throw listing.isAmbiguous(recording.id) ? severalThere(recording) : error;
  });
  if (listing.isAmbiguous(recording.id)) throw severalThere(recording);
  if (seen.kind === 'another') throw refused(recording, 'another one is in its place');
  return seen.kind === 'same' ? seen.found : undefined;
}

async function removeObject(
  device: MtpDevice,
  listing: MtpListing,
  {
    found: { handle, epoch, storageId, parent },
    recording,
    signal,
  }: { found: FoundObject; recording: ListedRecording; signal: AbortSignal },
): Promise<void> {
  // 0 and 0xFFFFFFFF mean everything: they never reach the wire.
  if (handle === 0 || handle >= 0xffff_ffff)
    throw new DockError('internal.bug', `removal of handle ${handle}`);
  const options = { epoch, signal };
  const { code } = await device.request(ptpOperation.deleteObject, [handle, 0], {
    ...options,
    attempts: 1,
    answerMs: device.timings.removeMs,
  });
  if (code === ptpResponse.sessionNotOpen) throw new SessionLost();
  const mayBeGone = [ptpResponse.ok, ptpResponse.invalidObjectHandle, ptpResponse.partialDeletion];
  if (!mayBeGone.some((each) => each === code)) throw refused(recording, `response 0x${code.toString(16)}`);
  const after = await readObject(device, handle, options);
  if (after.kind === 'object') throw refused(recording, 'it is still there');
  // InvalidObjectHandle alone proves nothing: responders forget handles.
  const left = await readChildren(device, { storageId, parent }, options);
  // A folder may go with the last object in it.
  const isLeft = left
    ? left.includes(handle)
    : (await listing.find(recording.id, signal, { isFresh: true })) !== undefined;
  if (isLeft) throw refused(recording, 'its folder still lists it');
}

function severalThere(recording: ListedRecording): DockError {
  return refused(recording, 'several objects share its path');
}

function refused({ path }: ListedRecording, why: string): DockError {
  return new DockError('removal.refused', `${path.slice(0, 200)}: ${why}`);
}
