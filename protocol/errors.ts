import { errorCatalogue, type Disposition, type ErrorCode } from './error-catalogue.ts';

/**
 * Every expected failure of this project. `code` is stable and explained by `dockctl explain CODE`;
 * `disposition` says what kind of remedy applies and is the same for every error of that code.
 */
export class DockError extends Error {
  readonly code: ErrorCode;
  /** What is particular to this case, without the meaning of the code. */
  readonly detail: string | undefined;

  constructor(code: ErrorCode, detail?: string, options?: { cause?: unknown }) {
    super(
      detail === undefined ? errorCatalogue[code].meaning : `${errorCatalogue[code].meaning}: ${detail}`,
      options,
    );
    this.name = 'DockError';
    this.code = code;
    this.detail = detail;
  }

  get disposition(): Disposition {
    return errorCatalogue[this.code].disposition;
  }

  get nextStep(): string {
    return errorCatalogue[this.code].nextStep;
  }
}

/** Takes anything thrown to a DockError; what nobody foresaw becomes `internal.bug`. */
export function asDockError(failure: unknown): DockError {
  const thrown = firstThrown(failure);
  if (thrown instanceof DockError) return thrown;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new DockError('internal.bug', detail, { cause: thrown });
}

export function hasCode(failure: unknown, ...codes: readonly ErrorCode[]): boolean {
  const thrown = firstThrown(failure);
  return thrown instanceof DockError && codes.includes(thrown.code);
}

/** A disposal that failed after something else had failed hides it: what failed first tells why. */
function firstThrown(thrown: unknown): unknown {
  return thrown instanceof SuppressedError ? firstThrown(thrown.suppressed) : thrown;
}
