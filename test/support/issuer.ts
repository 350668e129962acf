import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { CompactSign } from 'jose';
import { assignmentType, type PostAssignment } from '../../protocol/norm/assignment.ts';

/** A department that issues post assignments. */
export class Issuer {
  readonly publicKey: KeyObject;
  readonly #privateKey: KeyObject;

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    this.publicKey = publicKey;
    this.#privateKey = privateKey;
  }

  get publicPem(): string {
    return this.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  }

  /** For department `d`, post `p`, 120 workers, valid for a year around `at`, unless told otherwise. */
  async issue(terms: Partial<PostAssignment> & { number: number; at?: number }): Promise<string> {
    const { at = Date.UTC(2026, 10, 22), ...given } = terms;
    const payload = {
      department: 'd',
      post: 'p',
      headcount: 120,
      validFrom: new Date(at - 86_400_000).toISOString(),
      validUntil: new Date(at + 365 * 86_400_000).toISOString(),
      issuer: 'Department of State Revenue',
      ...given,
    };
    return await this.sign(JSON.stringify(payload));
  }

  async sign(payload: string | Uint8Array, header: { alg?: string; typ?: string } = {}): Promise<string> {
    return await new CompactSign(typeof payload === 'string' ? new TextEncoder().encode(payload) : payload)
      .setProtectedHeader({ alg: 'EdDSA', typ: assignmentType, ...header })
      .sign(this.#privateKey);
  }
}
