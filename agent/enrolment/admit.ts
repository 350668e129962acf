import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { Camera } from '../../dock/camera/camera.ts';
import type { RandomSource } from '../../dock/clock.ts';
import { proveIdentity } from './authenticate.ts';
import type { ProvenAttachments } from './proven-attachments.ts';
import type { EnrolmentDecision, Register } from './register.ts';

export type Admission =
  /** `provenBy`: how it has shown that it is the one it says; a camera without a key cannot. */
  | { readonly kind: 'admitted'; readonly provenBy?: 'challenge' | 'attachment' }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly reason: string };

/**
 * Decides whether a docked camera is served. An enrolled one proves its key; a new one proves the key it states
 * before it takes a place. Errors: `camera.impostor`, `wire.*`, `link.closed`.
 */
export async function admitCamera(
  camera: Camera,
  parts: {
    register: Register;
    policy: 'automatic' | 'manual';
    random: RandomSource;
    attachments: ProvenAttachments;
    signal: AbortSignal;
  },
): Promise<Admission> {
  const { register, policy } = parts;
  const { serialNumber, publicKey } = camera.identity;
  const standing = await register.standing(serialNumber);
  switch (standing.kind) {
    case 'enrolled': {
      const key = standing.publicKey ?? publicKey;
      if (!key) return { kind: 'admitted' };
      const provenBy = await proveIdentity(camera, key, parts);
      // Enrolled by hand before it was ever docked: its key is fixed the first time it shows one.
      if (!standing.publicKey) await register.fixKey(serialNumber, key);
      return { kind: 'admitted', provenBy };
    }
    case 'retired':
      return refused(await register.refuse({ serialNumber, by: 'automatic', code: 'enrolment.retired' }));
    case 'unknown':
    case 'refused': {
      if (policy === 'manual') {
        return refused(await register.refuse({ serialNumber, by: 'automatic', code: 'enrolment.manual' }));
      }
      const provenBy = publicKey && (await proveIdentity(camera, publicKey, parts));
      const reason = 'first docking at this post';
      const decision = await register.enrol({ serialNumber, publicKey, by: 'automatic', reason });
      if (decision.kind === 'refused') return refused(decision);
      return { kind: 'admitted', ...(provenBy && { provenBy }) };
    }
  }
}

function refused(decision: EnrolmentDecision): Admission {
  // Somebody enrolled it meanwhile: the next session will know.
  return decision.kind === 'enrolled'
    ? { kind: 'admitted' }
    : { kind: 'refused', code: decision.code, reason: decision.reason };
}
