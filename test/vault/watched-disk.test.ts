// A disk that lets people wait has not failed: it says so after some seconds, and whoever waits goes on.
import { describe, expect, test } from 'vitest';
import type { Clock } from '../../dock/clock.ts';
import { WatchedDisk } from '../../agent/vault/watched-disk.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';

describe('a disk that does not answer', () => {
  test('is called slow after five seconds, once, and no longer when it has answered', async () => {
    const bench = new SlowBench();
    const waiting = bench.disk.freeBytes('/');
    await bench.pass(4999);
    expect(bench.said).toEqual([]);
    await bench.pass(1);
    await bench.pass(60_000);
    expect(bench.said).toEqual([{ isSlow: true, waitedMs: 5000 }]);
    expect(bench.disk.isSlow).toBe(true);
    bench.answer(0, 1234);
    expect(await waiting).toBe(1234);
    expect(bench.said.slice(1)).toEqual([{ isSlow: false, waitedMs: 65_000 }]);
    expect(bench.disk.isSlow).toBe(false);
  });

  test('stays slow until the last of those who wait for long has its answer', async () => {
    const bench = new SlowBench();
    const waiting = [bench.disk.freeBytes('/'), bench.disk.freeBytes('/')];
    await bench.pass(5000);
    bench.answer(1, 1);
    await waiting[1];
    expect(bench.disk.isSlow).toBe(true);
    bench.answer(0, 1);
    await waiting[0];
    expect(bench.disk.isSlow).toBe(false);
  });

  test('is told from a busy one: many quick answers in a row are not slow', async () => {
    const bench = new SlowBench();
    for (let n = 0; n < 20; n++) {
      const waiting = bench.disk.freeBytes('/');
      await bench.pass(1000);
      bench.answer(n, 1);
      await waiting;
    }
    expect(bench.said).toEqual([]);
  });

  test('fails as it did before for who waits, and is no longer slow', async () => {
    const bench = new SlowBench();
    const waiting = bench.disk.freeBytes('/');
    await bench.pass(5000);
    bench.fail(0, new Error('unplugged'));
    await expect(waiting).rejects.toThrow('unplugged');
    expect(bench.disk.isSlow).toBe(false);
  });
});

/** A disk that answers when told, on a clock that moves when told. */
class SlowBench {
  readonly said: { isSlow: boolean; waitedMs: number }[] = [];
  readonly disk: WatchedDisk;
  readonly #answers: PromiseWithResolvers<number>[] = [];
  readonly #sleepers: { readonly untilMs: number; readonly wake: () => void }[] = [];
  #nowMs = 0;

  constructor() {
    const clock: Clock = {
      now: () => this.#nowMs,
      monotonic: () => this.#nowMs,
      sleep: (ms) => new Promise((wake) => this.#sleepers.push({ untilMs: this.#nowMs + ms, wake })),
    };
    const freeBytes = (): Promise<number> => {
      const answer = Promise.withResolvers<number>();
      this.#answers.push(answer);
      return answer.promise;
    };
    const said = (isSlow: boolean, waitedMs: number): void => void this.said.push({ isSlow, waitedMs });
    this.disk = new WatchedDisk({ ...nodeDisk, freeBytes }, clock, said);
  }

  async pass(ms: number): Promise<void> {
    this.#nowMs += ms;
    for (const sleeper of this.#sleepers.splice(0)) {
      if (sleeper.untilMs <= this.#nowMs) sleeper.wake();
      else this.#sleepers.push(sleeper);
    }
    await new Promise(setImmediate);
  }

  answer(n: number, freeBytes: number): void {
    this.#answers[n]?.resolve(freeBytes);
  }

  fail(n: number, error: Error): void {
    this.#answers[n]?.reject(error);
  }
}
