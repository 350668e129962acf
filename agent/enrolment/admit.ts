import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { Camera } from '../../dock/camera/camera.ts';
import type { RandomSource } from '../../dock/clock.ts';
import { proveIdentity } from './authenticate.ts';
import type { Register } from './register.ts';

export type Admission =
  | { readonly kind: 'admitted' }
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
    signal: AbortSignal;
  },
): Promise<Admission> {
  const { register, policy } = parts;
  const { serialNumber, publicKey } = camera.identity;
  const standing = await register.standing(serialNumber);
  switch (standing.kind) {
    case 'enrolled':
      if (standing.publicKey) {
        await proveIdentity(camera, standing.publicKey, parts);
      } else if (publicKey) {
        // Enrolled by hand before it was ever docked: its key is fixed the first time it shows one.
        await proveIdentity(camera, publicKey, parts);
        await register.fixKey(serialNumber, publicKey);
      }
      return { kind: 'admitted' };
    case 'retired':
      return refused(await register.refuse({ serialNumber, by: 'automatic', code: 'enrolment.retired' }));
    case 'unknown':
    case 'refused': {
      if (policy === 'manual') {
        return refused(await register.refuse({ serialNumber, by: 'automatic', code: 'enrolment.manual' }));
      }
      if (publicKey) await proveIdentity(camera, publicKey, parts);
      const reason = 'first docking at this post';
      return refused(await register.enrol({ serialNumber, publicKey, by: 'automatic', reason }));
    }
  }
}

function refused(decision: Awaited<ReturnType<Register['enrol']>>): Admission {
  return decision.kind === 'enrolled'
    ? { kind: 'admitted' }
    : { kind: 'refused', code: decision.code, reason: decision.reason };
}
