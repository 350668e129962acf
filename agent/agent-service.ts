import type { Clock } from '../dock/clock.ts';
import type { Agent } from './agent.ts';
import type { LoadedConfig } from './config/load.ts';
import type { Log } from './log.ts';

export interface AgentServiceParts {
  readonly clock: Clock;
  readonly log: Log;
  /** Errors: `config.*`. */
  readonly load: () => LoadedConfig;
  readonly start: (loaded: LoadedConfig, reloadConfiguration: () => Promise<void>) => Promise<Agent>;
  /** No agent runs any more, and none can be started. */
  readonly ended: (error: unknown) => void;
}

/** Whoever asked for it over MQTT or the control socket is answered by the agent that then stops. */
const answerWithinMs = 500;

/** The agent of this process: one at a time, with another configuration when that is asked for. */
export class AgentService {
  readonly #parts: AgentServiceParts;
  #running: { readonly agent: Agent; readonly loaded: LoadedConfig } | undefined;
  #change = Promise.resolve();
  #isStopped = false;

  constructor(parts: AgentServiceParts) {
    this.#parts = parts;
  }

  /** Errors: `config.*`, and those of starting an agent. */
  async start(): Promise<void> {
    await this.#run(this.#parts.load());
  }

  /** Ends all work in order. Never rejects. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#change;
    await this.#running?.agent.stop();
  }

  /**
   * Reads the configuration; a wrong one is refused and nothing changes. A good one takes effect by an orderly stop and
   * a fresh start, soon after this returned. Errors: `config.*`.
   */
  async reload(): Promise<void> {
    const loaded = this.#parts.load();
    this.#change = this.#change
      .then(() => this.#restart(loaded))
      .catch((error: unknown) => this.#parts.ended(error));
  }

  async #restart(loaded: LoadedConfig): Promise<void> {
    const { clock, log } = this.#parts;
    const before = this.#running;
    await clock.sleep(answerWithinMs);
    if (this.#isStopped || !before) return;
    await before.agent.stop({ isReload: true });
    this.#running = undefined;
    if (this.#isStopped) return;
    try {
      await this.#run(loaded);
      log.info('configuration-reloaded', { config: loaded.file ?? 'defaults' });
    } catch (error) {
      // It was readable, and the station cannot work with it: one that works is worth more.
      log.error('configuration-not-reloaded', { error });
      await this.#run(before.loaded);
    }
  }

  async #run(loaded: LoadedConfig): Promise<void> {
    this.#running = { loaded, agent: await this.#parts.start(loaded, () => this.reload()) };
  }
}
