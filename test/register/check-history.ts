/** What a client saw of one request. Times are monotonic milliseconds of one clock. */
export interface Operation {
  readonly id: string;
  readonly kind: 'enrol' | 'retire' | 'replace';
  readonly serialNumber: string;
  /** Of `replace`: the camera that made room. */
  readonly replaces?: string;
  readonly startedAt: number;
  readonly endedAt: number;
  /** `unknown`: no answer came; it may have happened or not. */
  readonly outcome: 'enrolled' | 'retired' | 'unchanged' | 'refused' | 'unknown';
}

/** A decision as the register kept it, in order. */
export interface LoggedDecision {
  readonly requestId: string;
  readonly serialNumber: string;
  readonly decision: string;
  readonly enrolledBefore: number;
}

/**
 * What is wrong with a history; empty when nothing is. By what the clients were told alone: never more cameras
 * certainly enrolled than the quota. By the log of the register: never more than the quota either, and every
 * acknowledged enrolment and retirement is in it, once. By its end: the cameras that the log leaves enrolled.
 */
export function checkHistory(history: {
  readonly quota: number;
  readonly operations: readonly Operation[];
  readonly decisions: readonly LoggedDecision[];
  readonly enrolledAtEnd: readonly string[];
}): string[] {
  const { quota, operations, decisions, enrolledAtEnd } = history;
  return [
    ...certainlyAbove(operations, quota),
    ...wrongInLog(decisions, quota, enrolledAtEnd),
    ...lost(operations, decisions),
  ];
}

/** A camera is certainly enrolled from the answer that says so until somebody begins to ask for its retirement. */
function certainlyAbove(operations: readonly Operation[], quota: number): string[] {
  const leavers = operations.filter(({ kind }) => kind !== 'enrol');
  const spans = operations
    .filter(({ outcome }) => outcome === 'enrolled')
    .map(({ serialNumber, startedAt, endedAt }) => {
      const ends = leavers
        .filter((one) => (one.kind === 'retire' ? one.serialNumber : one.replaces) === serialNumber)
        // One that was under way with the enrolment may have come after it, one without an answer at any time.
        .filter((one) => one.endedAt >= startedAt || one.outcome === 'unknown')
        .map((one) => one.startedAt);
      return { serialNumber, from: endedAt, to: Math.min(...ends, Infinity) };
    });
  return spans.flatMap(({ from, to }) => {
    if (to <= from) return [];
    const enrolled = new Set(
      spans.filter((one) => one.from <= from && from < one.to).map(({ serialNumber }) => serialNumber),
    );
    return enrolled.size > quota
      ? [`${enrolled.size} of ${quota} were told to be enrolled at ${from.toFixed(1)} ms`]
      : [];
  });
}

function wrongInLog(
  decisions: readonly LoggedDecision[],
  quota: number,
  enrolledAtEnd: readonly string[],
): string[] {
  const wrong: string[] = [];
  const enrolled = new Set<string>();
  for (const [index, { serialNumber, decision, enrolledBefore }] of decisions.entries()) {
    const where = `decision ${index + 1}, ${serialNumber} ${decision}`;
    if (enrolledBefore !== enrolled.size)
      wrong.push(`${where}: counted ${enrolledBefore}, were ${enrolled.size}`);
    const wasEnrolled = enrolled.has(serialNumber);
    if (wasEnrolled !== (decision === 'retired'))
      wrong.push(`${where}: it was ${wasEnrolled ? '' : 'not '}enrolled`);
    if (decision === 'enrolled') enrolled.add(serialNumber);
    if (decision === 'retired') enrolled.delete(serialNumber);
    if (enrolled.size > quota) wrong.push(`${where}: ${enrolled.size} of ${quota} are enrolled`);
  }
  const [logged, found] = [[...enrolled].toSorted(), enrolledAtEnd.toSorted()];
  if (logged.join() !== found.join())
    wrong.push(`the log leaves ${logged.join()}, enrolled are ${found.join()}`);
  return wrong;
}

function lost(operations: readonly Operation[], decisions: readonly LoggedDecision[]): string[] {
  const logged = new Map<string, number>();
  for (const { requestId, serialNumber, decision } of decisions) {
    const key = `${requestId} ${serialNumber} ${decision}`;
    logged.set(key, (logged.get(key) ?? 0) + 1);
  }
  const asked = new Set(operations.map(({ id }) => id));
  return [
    ...operations
      .filter(({ outcome }) => outcome === 'enrolled' || outcome === 'retired')
      .filter(({ id, serialNumber, outcome }) => !logged.has(`${id} ${serialNumber} ${outcome}`))
      .map(({ serialNumber, outcome }) => `${serialNumber} was acknowledged as ${outcome}, and that is lost`),
    ...[...logged].filter(([, times]) => times > 1).map(([key]) => `done twice: ${key}`),
    ...decisions
      .filter(({ requestId }) => !asked.has(requestId))
      .map(({ requestId }) => `nobody asked: ${requestId}`),
  ];
}
