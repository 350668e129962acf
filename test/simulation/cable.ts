import type { PtpPipe } from '../../dock/camera/ptp-pipe.ts';
import type { ByteLink } from '../../dock/link.ts';
import type { PtpResponder } from '../../dock/simulator/ptp-responder.ts';
import { DockError } from '../../protocol/errors.ts';
import { Dead, type Life } from './life.ts';
import type { Scheduler } from './scheduler.ts';

const wayMs = 1;
const bytesPerMs = 200;

/** A serial line between a camera and one run of the agent. */
export class Cable {
  readonly agentEnd: ByteLink;
  readonly deviceEnd: ByteLink;
  readonly #closing = Promise.withResolvers<void>();
  readonly #scheduler: Scheduler;
  #isCut = false;

  /** `lagMs`: how much longer than usual an answer is on its way just now. */
  constructor(scheduler: Scheduler, life: Life, { name, lagMs }: { name: string; lagMs: () => number }) {
    this.#scheduler = scheduler;
    let receiveAgent: (chunk: Uint8Array) => void = ignore;
    let receiveDevice: (chunk: Uint8Array) => void = ignore;
    const toDevice = this.#way((chunk) => receiveDevice(chunk));
    const toAgent = this.#way((chunk) => !life.isDead && receiveAgent(chunk));
    const common = { name, closed: this.#closing.promise, [Symbol.asyncDispose]: async () => this.cut() };
    this.agentEnd = {
      ...common,
      onBytes: (receiver) => (receiveAgent = receiver),
      write: (bytes) =>
        neverIfDead(() =>
          life.operateNow('write to the line', () => this.#expectWhole(name, () => toDevice(bytes, 0))),
        ),
    };
    this.deviceEnd = {
      ...common,
      onBytes: (receiver) => (receiveDevice = receiver),
      write: async (bytes) => this.#expectWhole(name, () => toAgent(bytes, lagMs())),
    };
  }

  cut(): void {
    this.#isCut = true;
    this.#closing.resolve();
  }

  #expectWhole(name: string, work: () => void): void {
    if (this.#isCut) throw new DockError('link.closed', name);
    work();
  }

  /** Bytes arrive in the order they were sent. */
  #way(receive: (chunk: Uint8Array) => void): (bytes: Uint8Array, lagMs: number) => void {
    let lastMs = 0;
    return (bytes, lagMs) => {
      const { nowMs } = this.#scheduler;
      lastMs = Math.max(lastMs, nowMs + wayMs + lagMs) + bytes.length / bytesPerMs;
      const copy = Uint8Array.from(bytes);
      this.#scheduler.after(lastMs - nowMs, () => {
        if (!this.#isCut) receive(copy);
      });
    };
  }
}

async function neverIfDead(work: () => void): Promise<void> {
  try {
    work();
  } catch (error) {
    if (error instanceof Dead) return new Promise(() => undefined);
    throw error;
  }
}

function ignore(): void {}

/** The pipe to a responder as one run of the agent has it. */
export function pipeFor(life: Life, responder: PtpResponder): PtpPipe {
  const act = <T>(what: string, work: () => Promise<T>): Promise<T> => life.operate(what, wayMs, work);
  return {
    name: responder.name,
    closed: responder.closed,
    maxPacketBytes: responder.maxPacketBytes,
    longestReadBytes: responder.longestReadBytes,
    vendorId: responder.vendorId,
    productId: responder.productId,
    write: (bytes, timeoutMs) => act('write to the pipe', () => responder.write(bytes, timeoutMs)),
    read: (maxBytes, timeoutMs) => act('read from the pipe', () => responder.read(maxBytes, timeoutMs)),
    clearHalt: (direction) => responder.clearHalt(direction),
    cancel: () => act('cancel', () => responder.cancel()),
    status: () => act('status', () => responder.status()),
    classReset: () => act('class reset', () => responder.classReset()),
    abandon: () => responder.abandon(),
    release: () => act('release', () => responder.release()),
    claim: () => act('claim', () => responder.claim()),
    reset: () => act('reset', () => responder.reset()),
    [Symbol.asyncDispose]: () => responder[Symbol.asyncDispose](),
  };
}
