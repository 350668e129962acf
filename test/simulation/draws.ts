import type { RandomSource } from '../../dock/clock.ts';
import { seededRandom } from '../support/virtual-clock.ts';

/**
 * Everything a simulation draws comes from its seed through streams with names of their own: one draw more in one
 * place shifts nothing in another.
 */
export class Draws implements RandomSource {
  readonly #name: string;
  readonly #next: () => number;

  constructor(name: string) {
    this.#name = name;
    this.#next = seededRandom(hashOf(name));
  }

  stream(name: string): Draws {
    return new Draws(`${this.#name}/${name}`);
  }

  /** A whole number from 0 up to, not including, `limit`. */
  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  /** A number from `from` to `to`. */
  between(from: number, to: number): number {
    return from + this.#next() * (to - from);
  }

  /** The same, small numbers as likely as large ones of the next order of magnitude. */
  logBetween(from: number, to: number): number {
    return from * (to / from) ** this.#next();
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new Error(`${this.#name}: nothing to pick from`);
    return choices[this.below(choices.length)] as T;
  }

  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const entries = Object.entries<number>(weights);
    let rest = this.#next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [choice, weight] of entries) if ((rest -= weight) < 0) return choice as T;
    throw new Error(`${this.#name}: no weights`);
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let index = 0; index < count; index++) bytes[index] = this.#next() * 256;
    return bytes;
  }
}

/** FNV-1a, then mixed so that neighbours differ in every bit. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
