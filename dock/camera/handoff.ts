/** Passes values from one side to the other, one at a time: who gives waits until the value was taken. */
export class Handoff<T> {
  #offered: { readonly value: T; readonly taken: () => void } | undefined;
  #end: { readonly error?: unknown } | undefined;
  #refusal: Error | undefined;
  #refuse: ((reason: Error) => void) | undefined;
  #wake = Promise.withResolvers<void>();

  /** Resolves when the value was taken; rejects once nobody takes any more. */
  give(value: T): Promise<void> {
    if (this.#refusal) return Promise.reject(this.#refusal);
    return new Promise((resolve, reject) => {
      this.#offered = { value, taken: resolve };
      this.#refuse = reject;
      this.#wake.resolve();
    });
  }

  /** No more values; with an error, the taker gets that. */
  end(failure: { readonly error?: unknown } = {}): void {
    this.#end ??= failure;
    this.#wake.resolve();
  }

  async *taken(): AsyncGenerator<T, void> {
    for (;;) {
      const offered = this.#offered;
      if (offered) {
        this.#offered = undefined;
        yield offered.value;
        offered.taken();
        continue;
      }
      if (this.#end) {
        if ('error' in this.#end) throw this.#end.error;
        return;
      }
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
    }
  }

  /** The taker is gone. */
  refuse(reason: Error): void {
    this.#refusal = reason;
    this.#refuse?.(reason);
  }
}
