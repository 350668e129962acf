import { createPublicKey, verify } from 'node:crypto';
import { DockError } from '../../protocol/errors.ts';
import { challengeMessage } from '../../protocol/smp/camera-group.ts';
import type { Camera } from '../../dock/camera/camera.ts';
import type { RandomSource } from '../../dock/clock.ts';

/**
 * Makes the camera prove that it holds the private key of `publicKey` (raw Ed25519): a fresh nonce in, a signature
 * out. Errors: `camera.impostor` when it cannot, `wire.*`, `link.closed`.
 */
export async function proveIdentity(
  camera: Camera,
  publicKey: Uint8Array,
  { random, signal }: { random: RandomSource; signal: AbortSignal },
): Promise<void> {
  const { serialNumber, statedSerialNumber = serialNumber } = camera.identity;
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
}
