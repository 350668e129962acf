// A camera with a key that was unlocked into a mere disk cannot prove itself any more. As long as it has not left the
// bus since its proof it is the same camera; after that it must be seated again.
import { expect, test } from 'vitest';
import { admitCamera } from '../../agent/enrolment/admit.ts';
import { ProvenAttachments } from '../../agent/enrolment/proven-attachments.ts';
import { unsignedHeadcount } from '../../agent/enrolment/headcount.ts';
import { SqliteRegister } from '../../agent/enrolment/sqlite-register.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { Database } from '../../agent/state/database.ts';
import type { Attachment, Camera } from '../../dock/camera/camera.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';

const { signal } = new AbortController();

const provenAt = Date.UTC(2026, 10, 22);
const clock = { ...systemClock, now: () => provenAt };

async function stationWithProof() {
  const parts = station();
  const publicKey = new Uint8Array(32).fill(7);
  await parts.register.enrol({ serialNumber: 'BC-1', publicKey, by: 'test', reason: 'test' });
  await expect(admitCamera(disk(proof), parts)).rejects.toMatchObject({ code: 'camera.unproven' });
  parts.attachments.note('BC-1', proof, { mayReappear: true });
  return parts;
}

function station() {
  const db = new Database(':memory:');
  const outbox = new Outbox(db, systemClock, systemRandom);
  return {
    register: new SqliteRegister(db, outbox, systemClock, unsignedHeadcount(40), 'd/p/s'),
    attachments: new ProvenAttachments(db, clock, 30_000),
    policy: 'automatic' as const,
    random: systemRandom,
    signal,
  };
}

function disk(attachment: Attachment): Camera {
  const identity = { serialNumber: 'BC-1', model: 'M', firmware: '1', hardwareRevision: '' };
  return {
    identity,
    attachment,
    readIdentity: async () => identity,
    recordings: async function* () {},
    read: async function* () {},
    [Symbol.asyncDispose]: async () => undefined,
  };
}

const proof = { place: 'boot-1 1-1', id: '500', attachedAt: provenAt - 60_000 };

test.for([
  ['that has not left the bus since', proof],
  ['that came back on its port right after', { ...proof, id: '501', attachedAt: provenAt + 5000 }],
] as const)('%s is still the camera that proved itself', async ([, attachment]) => {
  const parts = await stationWithProof();
  expect(await admitCamera(disk(attachment), parts)).toEqual({ kind: 'admitted', provenBy: 'attachment' });
});

test.for([
  ['was there before the proof', { ...proof, id: '501', attachedAt: provenAt - 5000 }],
  ['came much later', { ...proof, id: '501', attachedAt: provenAt + 31_000 }],
  ['is on another port', { ...proof, place: 'boot-1 1-2' }],
  ['is of another start of the machine', { ...proof, place: 'boot-2 1-1' }],
] as const)('one that %s may be any device', async ([, attachment]) => {
  const parts = await stationWithProof();
  await expect(admitCamera(disk(attachment), parts)).rejects.toMatchObject({ code: 'camera.unproven' });
});

test('once it has come back, nothing else may come in its place', async () => {
  const parts = await stationWithProof();
  parts.attachments.note('BC-1', { ...proof, id: '501' }, { mayReappear: false });
  const stick = disk({ ...proof, id: '502', attachedAt: provenAt + 5000 });
  await expect(admitCamera(stick, parts)).rejects.toMatchObject({ code: 'camera.unproven' });
});

test('one without a key needs no proof', async () => {
  expect(await admitCamera(disk(proof), station())).toEqual({ kind: 'admitted' });
});
