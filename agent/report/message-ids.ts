import type { IClientOptions } from 'mqtt';

type Provider = NonNullable<IClientOptions['messageIdProvider']>;

const highest = 65_535;

/**
 * Packet ids of one connection, none of them given twice while it is in use. Of the library's own providers one gives
 * them twice, and the other takes as long to find one as the rest of sending a message (mqtt 5.16).
 */
export class MessageIds implements Provider {
  readonly #inUse = new Set<number>();
  #last = 0;

  /** Null when all are in use. */
  allocate(): number | null {
    if (this.#inUse.size === highest) return null;
    do this.#last = (this.#last % highest) + 1;
    while (this.#inUse.has(this.#last));
    this.#inUse.add(this.#last);
    return this.#last;
  }

  getLastAllocated(): number | null {
    return this.#last === 0 ? null : this.#last;
  }

  register(id: number): boolean {
    if (this.#inUse.has(id)) return false;
    this.#inUse.add(id);
    return true;
  }

  deallocate(id: number): void {
    this.#inUse.delete(id);
  }

  clear(): void {
    this.#inUse.clear();
  }
}
