/** What must be told of an event to place it. */
export interface SequencedEvent {
  readonly id: string;
  readonly seq: number;
  readonly previousSeq: number;
  /** Delivered late, or sent again. */
  readonly historical: boolean;
}

/** Events that were recorded and not heard: those above `after`, up to and with `upTo`. */
export interface Gap {
  readonly after: number;
  readonly upTo: number;
  /** Of the event that told of it. */
  readonly before: number;
}

/**
 * What an event is to what was heard before: the first of its station, the next one, one that tells of a gap, one
 * out of a gap, a harmless repetition, or one that cannot belong to the same sequence: another event under a number
 * that was heard (`conflict`), or a newer event under an older number (`restarted`).
 */
export type Heard = 'first' | 'next' | 'gap' | 'filled' | 'repeated' | 'conflict' | 'restarted';

export const maxGaps = 100;

/** The events of one station: whether each one that followed the first was heard. Memory is bounded. */
export class EventSequence {
  readonly counts: Record<Heard, number> = {
    first: 0,
    next: 0,
    gap: 0,
    filled: 0,
    repeated: 0,
    conflict: 0,
    restarted: 0,
  };
  /** Gaps that were forgotten because there were too many, or with the sequence that ended. */
  lostGaps = 0;
  #last = 0;
  #newestId = '';
  #gaps: Gap[] = [];
  /** Ids of the newest numbers, to tell a duplicate from another event. */
  readonly #ids = new Map<number, string>();
  readonly #remembered: number;

  constructor(remembered = 16) {
    this.#remembered = remembered;
  }

  /** The highest number heard; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  get gaps(): readonly Gap[] {
    return this.#gaps;
  }

  /** Nothing is missing between the first event heard and this one. */
  get wholeUpTo(): number {
    return this.#gaps[0]?.after ?? this.#last;
  }

  hear(event: SequencedEvent): Heard {
    const heard = this.#place(event);
    this.counts[heard] += 1;
    if (heard === 'conflict') return heard;
    this.#ids.set(event.seq, event.id);
    const [oldest] = this.#ids.keys();
    if (this.#ids.size > this.#remembered && oldest !== undefined) this.#ids.delete(oldest);
    if (event.id > this.#newestId) this.#newestId = event.id;
    return heard;
  }

  #place(event: SequencedEvent): Heard {
    const { id, seq, previousSeq, historical } = event;
    if (this.#last === 0) {
      this.#last = seq;
      return 'first';
    }
    if (seq > this.#last) {
      const gap = { after: this.#last, upTo: previousSeq, before: seq };
      this.#last = seq;
      // The event before may be older than the last one: a sample in between was dropped after it had been sent.
      if (gap.upTo <= gap.after) return 'next';
      this.#addGap(gap);
      return 'gap';
    }
    const known = this.#ids.get(seq);
    if (known !== undefined && known !== id) return 'conflict';
    this.#narrow(event);
    if (known !== undefined) return 'repeated';
    if (this.#fill(event)) return 'filled';
    // Ids sort by time: an older event is a repetition from before what is remembered, a newer one is not. One that was
    // recorded under a clock ahead of the time looks newer; sent again for somebody else, it is historical.
    if (historical || id < this.#newestId) return 'repeated';
    this.lostGaps += this.#gaps.length;
    this.#gaps = [];
    this.#ids.clear();
    this.#last = seq;
    return 'restarted';
  }

  #addGap(gap: Gap): void {
    this.#gaps.push(gap);
    if (this.#gaps.length <= maxGaps) return;
    this.#gaps.shift();
    this.lostGaps += 1;
  }

  /** An event behind a gap that comes again may know that what was missing before it was a dropped sample. */
  #narrow({ seq, previousSeq }: SequencedEvent): void {
    const index = this.#gaps.findIndex(({ before }) => before === seq);
    const gap = this.#gaps[index];
    if (!gap || previousSeq >= gap.upTo) return;
    if (previousSeq <= gap.after) this.#gaps.splice(index, 1);
    else this.#gaps[index] = { ...gap, upTo: previousSeq };
  }

  #fill({ seq, previousSeq }: SequencedEvent): boolean {
    const index = this.#gaps.findIndex(({ after, upTo }) => after < seq && seq <= upTo);
    const gap = this.#gaps[index];
    if (!gap) return false;
    const left: Gap[] = [];
    if (previousSeq > gap.after) left.push({ after: gap.after, upTo: previousSeq, before: seq });
    if (seq < gap.upTo) left.push({ ...gap, after: seq });
    this.#gaps.splice(index, 1, ...left);
    return true;
  }
}
