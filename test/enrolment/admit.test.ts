// The key that counts is the one that the post has fixed: a stranger proves its own key as well as anybody.
import { generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { admitCamera } from '../../agent/enrolment/admit.ts';
import { ProvenAttachments } from '../../agent/enrolment/proven-attachments.ts';
import { unsignedHeadcount } from '../../agent/enrolment/headcount.ts';
import { SqliteRegister } from '../../agent/enrolment/sqlite-register.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { Database } from '../../agent/state/database.ts';
import type { Camera } from '../../dock/camera/camera.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { challengeMessage } from '../../protocol/smp/camera-group.ts';

/** A camera with a key pair of its own, honest about it. */
function cameraWithNewKey(serialNumber: string): Camera {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32));
  const identity = { serialNumber, model: 'M', firmware: '1', hardwareRevision: '', publicKey: raw };
  return {
    identity,
    challenge: async (nonce) => sign(null, challengeMessage(serialNumber, nonce), privateKey),
    readIdentity: async () => identity,
    recordings: async function* () {},
    read: async function* () {},
    [Symbol.asyncDispose]: async () => undefined,
  };
}

test('a stranger that proves a key of its own is an impostor, and the enrolled camera still is not', async () => {
  using db = new Database(':memory:');
  const parts = {
    register: new SqliteRegister(
      db,
      new Outbox(db, systemClock, systemRandom),
      systemClock,
      unsignedHeadcount(40),
      'd/p/s',
    ),
    attachments: new ProvenAttachments(db, systemClock, 30_000),
    policy: 'automatic' as const,
    random: systemRandom,
    signal: new AbortController().signal,
  };
  const camera = cameraWithNewKey('BC-1');
  expect(await admitCamera(camera, parts)).toEqual({ kind: 'admitted', provenBy: 'challenge' });
  await expect(admitCamera(cameraWithNewKey('BC-1'), parts)).rejects.toMatchObject({
    code: 'camera.impostor',
  });
  expect(await admitCamera(camera, parts)).toEqual({ kind: 'admitted', provenBy: 'challenge' });
});
