import type { Clock } from '../../dock/clock.ts';
import type { Draws } from './draws.ts';
import type { Owner, Scheduler } from './scheduler.ts';

/** What a dead agent gets from anything that cannot simply never answer. */
export class Dead extends Error {
  constructor() {
    super('this agent was killed');
  }
}

type Fate = 'lives' | 'dies before' | 'dies after';

/**
 * One run of the agent, from its start until it is stopped or killed. All it does outside itself is counted here, and
 * can kill it: the operation has happened then, or has not. Of a dead agent nothing moves any more: what it waits for
 * never comes, what it calls throws.
 */
export class Life implements Owner {
  readonly clock: Clock;
  /** Of the agent, for its ids and nonces. */
  readonly random: Draws;
  isDead = false;
  operations = 0;
  /** What it was about when it died. */
  lastWords = '';
  readonly #scheduler: Scheduler;
  readonly #draws: Draws;
  readonly #underWay = new Set<() => void>();
  #deadline = { n: Infinity, kind: '' };

  constructor(scheduler: Scheduler, draws: Draws) {
    this.#scheduler = scheduler;
    this.#draws = draws.stream('fate');
    this.random = draws.stream('random');
    this.clock = scheduler.clockOf(this);
  }

  /** It is killed at the n-th operation from now, or the n-th of a kind. */
  dieAt(n: number, kind = ''): void {
    this.#deadline = { n, kind };
  }

  /** An operation that takes time. What it does is done at its end. */
  operate<T>(what: string, ms: number, effect: () => T | PromiseLike<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.isDead) return;
      const fate = this.#count(what);
      if (fate === 'dies before') {
        this.kill(what);
        return;
      }
      const perform = (): void => {
        this.#underWay.delete(perform);
        try {
          const result = effect();
          if (fate === 'dies after') this.kill(`${what}, done`);
          // Nobody is left to hear of it.
          if (this.isDead) void Promise.resolve(result).catch(() => undefined);
          else if (isPromise(result))
            result.then(
              (value) => this.#tell(resolve, value),
              (error: unknown) => this.#tell(reject, error),
            );
          else resolve(result);
        } catch (error) {
          if (!this.isDead) reject(error);
        }
      };
      this.#underWay.add(perform);
      this.#scheduler.after(ms, perform, this);
    });
  }

  /** An operation that happens at once. */
  operateNow<T>(what: string, effect: () => T): T {
    this.expectAlive();
    const fate = this.#count(what);
    if (fate === 'dies before') this.kill(what);
    this.expectAlive();
    const result = effect();
    if (fate === 'dies after') this.kill(`${what}, done`);
    this.expectAlive();
    return result;
  }

  #tell<T>(listener: (news: T) => void, news: T): void {
    if (!this.isDead) listener(news);
  }

  expectAlive(): void {
    if (this.isDead) throw new Dead();
  }

  kill(lastWords: string): void {
    if (this.isDead) return;
    this.isDead = true;
    this.lastWords = lastWords;
    // What was handed to the system may still happen, in the order it was given.
    const underWay = [...this.#underWay];
    for (const perform of underWay.slice(0, this.#draws.below(underWay.length + 1))) perform();
  }

  #count(what: string): Fate {
    this.operations++;
    if (!what.startsWith(this.#deadline.kind) || --this.#deadline.n !== 0) return 'lives';
    return this.#draws.chance(0.5) ? 'dies before' : 'dies after';
  }
}

function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && 'then' in value;
}
