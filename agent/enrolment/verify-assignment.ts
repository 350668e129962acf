import { createPublicKey, type JsonWebKeyInput, type KeyObject } from 'node:crypto';
import {
  assignmentType,
  maxAssignmentChars,
  postAssignment,
  type PostAssignment,
} from '../../protocol/norm/assignment.ts';
import { DockError } from '../../protocol/errors.ts';

export interface AssignmentExpectation {
  readonly issuerKey: KeyObject;
  readonly place: { readonly department: string; readonly post: string };
}

/**
 * Who signed it, what it says, and that it is for this post; not whether it is newer or valid now. Nothing of it is
 * read before the signature is proven. Errors: `assignment.oversize`, `assignment.malformed`,
 * `assignment.bad-signature`, `assignment.other-post`.
 */
export async function verifyAssignment(
  jws: string,
  { issuerKey, place }: AssignmentExpectation,
): Promise<PostAssignment> {
  if (jws.length > maxAssignmentChars) throw new DockError('assignment.oversize', `${jws.length} characters`);
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(jws))
    throw new DockError('assignment.malformed', 'no JWS in compact form');
  const payload = await signedPayload(jws, issuerKey);
  const { success, data: assignment, error } = postAssignment.safeParse(payload);
  if (!success) {
    const [issue] = error.issues;
    throw new DockError('assignment.malformed', `${issue?.path.join('.')}: ${issue?.message}`.slice(0, 200));
  }
  const { department, post } = assignment;
  if (department !== place.department || post !== place.post) {
    throw new DockError('assignment.other-post', `${department}/${post}`);
  }
  return assignment;
}

/** PEM or JWK. Errors: `config.unreadable` for what is no Ed25519 public key. */
export function readIssuerKey(content: Buffer): KeyObject {
  const text = content.toString('utf8').trim();
  // A public key would be made from a private one without a word.
  const isPrivate = /PRIVATE KEY|"d"\s*:/.test(text);
  try {
    const key = text.startsWith('{')
      ? createPublicKey({ key: JSON.parse(text) as JsonWebKeyInput['key'], format: 'jwk' })
      : createPublicKey(text);
    if (key.asymmetricKeyType === 'ed25519' && !isPrivate) return key;
  } catch (cause) {
    throw new DockError('config.unreadable', 'post.issuer_key_file is no public key, PEM or JWK', { cause });
  }
  const what = isPrivate ? 'the private key, which has no place on a station' : 'no Ed25519 key';
  throw new DockError('config.unreadable', `post.issuer_key_file is ${what}`);
}

async function signedPayload(jws: string, issuerKey: KeyObject): Promise<unknown> {
  // Only a station that has an issuer pays for the library.
  const { compactVerify } = await import('jose/jws/compact/verify');
  const { JOSEError, JWSSignatureVerificationFailed } = await import('jose/errors');
  try {
    const { payload, protectedHeader } = await compactVerify(jws, issuerKey, {
      algorithms: ['EdDSA', 'Ed25519'],
    });
    if (protectedHeader.typ !== assignmentType) {
      throw new DockError('assignment.malformed', `typ is not ${assignmentType}`);
    }
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch (cause) {
    if (cause instanceof DockError) throw cause;
    if (cause instanceof JWSSignatureVerificationFailed) {
      throw new DockError('assignment.bad-signature', undefined, { cause });
    }
    // Text that is no JSON, a header that the library does not take, an algorithm that is not ours.
    if (cause instanceof JOSEError || cause instanceof SyntaxError || cause instanceof TypeError) {
      throw new DockError('assignment.malformed', cause.message.slice(0, 200), { cause });
    }
    throw cause;
  }
}
