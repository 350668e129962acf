/**
 * Proof that a copy of a recording is durable on the station, read back from there, equal to what the
 * camera delivered, and committed to the catalogue. Removing a recording from a camera takes one.
 *
 * The class is not exported, so a VerifiedCopy can be had only from `attestVerifiedCopy`, and lint lets
 * only the vault (vault.ts, intake.ts) import that.
 */
class AttestedCopy {
  readonly recordingId: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly #attested = true;

  constructor(copy: { recordingId: string; sizeBytes: number; sha256: string }) {
    this.recordingId = copy.recordingId;
    this.sizeBytes = copy.sizeBytes;
    this.sha256 = copy.sha256;
  }

  static isAttested(value: unknown): boolean {
    return typeof value === 'object' && value !== null && #attested in value;
  }
}

export type VerifiedCopy = AttestedCopy;

/** For the vault alone, at the end of the commit rule. `sha256` is lower-case hex. */
export function attestVerifiedCopy(copy: {
  recordingId: string;
  sizeBytes: number;
  sha256: string;
}): VerifiedCopy {
  return new AttestedCopy(copy);
}

/** Guards against a cast: true only for what the vault attested. */
export function isVerifiedCopy(value: unknown): value is VerifiedCopy {
  return AttestedCopy.isAttested(value);
}
