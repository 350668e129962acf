import { createPublicKey, verify } from 'node:crypto';
import { DockError } from '../../protocol/errors.ts';
import { challengeMessage } from '../../protocol/smp/camera-group.ts';
import type { Camera } from '../../dock/camera/camera.ts';
import type { RandomSource } from '../../dock/clock.ts';
import type { ProvenAttachments } from './proven-attachments.ts';

/**
 * Makes the camera prove that it holds the private key of `publicKey` (raw Ed25519): a fresh nonce in, a signature
 * out. One that was unlocked after it had proved itself, and has not left the bus since, need not do it again.
 * Returns how it was proved. Errors: `camera.impostor`, `camera.unproven` when it has no channel for a proof, `wire.*`, `link.closed`.
 */
export async function proveIdentity(
  camera: Camera,
  publicKey: Uint8Array,
  {
    random,
    attachments,
    signal,
  }: { random: RandomSource; attachments: ProvenAttachments; signal: AbortSignal },
): Promise<'challenge' | 'attachment'> {
  const { serialNumber, statedSerialNumber = serialNumber } = camera.identity;
  const { attachment } = camera;
  if (!camera.challenge && attachment !== undefined) {
    if (attachments.covers(serialNumber, attachment)) return 'attachment';
    throw new DockError('camera.unproven', serialNumber);
  }
  if (!camera.challenge) throw new DockError('camera.impostor', `${serialNumber} shows no key`);
  const nonce = random.bytes(32);
  const signature = await camera.challenge(nonce, signal);
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicKey).toString('base64url') },
    format: 'jwk',
  });
  if (!verify(null, challengeMessage(statedSerialNumber, nonce), key, signature)) {
    throw new DockError('camera.impostor', serialNumber);
  }
  return 'challenge';
}
