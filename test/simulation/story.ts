import { createHash } from 'node:crypto';

/** What happened in one simulation, in words, and how often what was reached. */
export class Story {
  readonly lines: string[] = [];
  readonly counts = new Map<string, number>();
  readonly violations: string[] = [];
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  tell(text: string): void {
    this.lines.push(`${timeOf(this.#nowMs())}  ${text}`);
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** A promise is broken. The same breach again and again is told once. */
  violate(promise: number | 'agent', text: string): void {
    const breach = `${typeof promise === 'number' ? `promise ${promise}` : promise}: ${text}`;
    if (this.violations.includes(breach)) return;
    this.violations.push(breach);
    this.tell(`VIOLATION of ${breach}`);
  }

  digest(): string {
    return createHash('sha256').update(this.lines.join('\n')).digest('hex').slice(0, 16);
  }
}

/** Days, hours, minutes, seconds since the start. */
function timeOf(ms: number): string {
  const days = Math.floor(ms / 86_400_000);
  return `${days}d ${new Date(ms % 86_400_000).toISOString().slice(11, 23)}`;
}
