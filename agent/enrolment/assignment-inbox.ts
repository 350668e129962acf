import { assignmentMessage } from '../../protocol/mqtt/documents.ts';
import { maxPayloadBytes } from '../../protocol/mqtt/head.ts';
import type { StationTopics } from '../../protocol/mqtt/topics.ts';
import type { Clock } from '../../dock/clock.ts';
import type { Log } from '../log.ts';
import type { BrokerMessage } from '../report/broker-connection.ts';
import type { Assignments } from './assignments.ts';

/** However many come, and until when one is tried again that is of the future or met an untrusted clock. */
const pauseMs = 60_000;

/** Takes the assignment that the broker keeps for this station. Anybody may put one there: its signature decides. */
export class AssignmentInbox {
  /** What to subscribe to. */
  readonly filter: string;
  readonly #parts: { readonly assignments: Assignments; readonly clock: Clock; readonly log: Log };
  #offered: string | undefined;
  #wake = Promise.withResolvers<void>();

  constructor(parts: { assignments: Assignments; clock: Clock; log: Log; topics: StationTopics }) {
    this.#parts = parts;
    this.filter = parts.topics.assignment;
  }

  /** Only enqueues: the latest is what counts. An empty message takes it away from the broker, not out of force. */
  take({ topic, payload }: BrokerMessage): void {
    if (topic !== this.filter) return;
    this.#offered = payload.length === 0 ? undefined : assignmentOf(payload);
    this.#wake.resolve();
  }

  /** Resolves when `signal` aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { assignments, clock, log } = this.#parts;
    const wake = (): void => this.#wake.resolve();
    signal.addEventListener('abort', wake, { once: true });
    while (!signal.aborted) {
      if (this.#offered === undefined) {
        this.#wake = Promise.withResolvers();
        await this.#wake.promise;
        continue;
      }
      try {
        await assignments.offer(this.#offered, 'MQTT');
      } catch (error) {
        log.error('assignment-failed', { error });
      }
      await clock.sleep(pauseMs, signal).catch(() => undefined);
    }
  }
}

/** What is no such message is offered as nothing, and refused as that. */
function assignmentOf(payload: Uint8Array): string {
  if (payload.length > maxPayloadBytes) return '';
  try {
    const message = assignmentMessage.safeParse(JSON.parse(Buffer.from(payload).toString('utf8')));
    return message.data?.assignment ?? '';
  } catch {
    return '';
  }
}
