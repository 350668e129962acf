/** How long a PTP responder is waited for, in milliseconds; what the field taught is in reference/mtp.md A.10, A.14. */
export interface PtpTimings {
  readonly commandMs: number;
  /** Answer to the first OpenSession: fresh and dead cameras are told apart by it. */
  readonly openMs: number;
  readonly answerMs: number;
  /** One window of a recording. */
  readonly windowMs: number;
  readonly removeMs: number;
  /** Instead of `answerMs` for cameras that are known to be slow. */
  readonly longMs: number;
  readonly closeMs: number;
  readonly peekMs: number;
  /** Nothing for so long: the pipe is empty. */
  readonly quietMs: number;
  /** By time, not by bytes: old umtprd keeps the rest of a file in flight. */
  readonly drainForMs: number;
  /** How long a cancelled device may say that it is busy, and how often it is asked. */
  readonly cancelForMs: number;
  readonly cancelPollMs: number;
  /** Phones recover alone when they are left alone; hammering prolongs it. */
  readonly reopenPauseMs: number;
  /** After its caller has gone a transaction may still end in order; then it is broken off. */
  readonly graceMs: number;
  readonly busyFromMs: number;
  readonly busyToMs: number;
  readonly busyForMs: number;
  /** Storages appear seconds after the device does. */
  readonly storagesForMs: number;
  readonly storagesFromMs: number;
  /** Attempts at what may be repeated. */
  readonly attempts: number;
}

export const defaultPtpTimings: PtpTimings = {
  commandMs: 5000,
  openMs: 5000,
  answerMs: 30_000,
  windowMs: 60_000,
  removeMs: 60_000,
  longMs: 60_000,
  closeMs: 1000,
  peekMs: 200,
  quietMs: 400,
  drainForMs: 30_000,
  cancelForMs: 3000,
  cancelPollMs: 200,
  reopenPauseMs: 4000,
  graceMs: 1000,
  busyFromMs: 100,
  busyToMs: 2000,
  busyForMs: 60_000,
  storagesForMs: 30_000,
  storagesFromMs: 500,
  attempts: 3,
};
