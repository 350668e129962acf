/** Who started the agent and watches over it: systemd on a station, nobody in a checkout. None of its calls throws. */
export interface Supervisor {
  /** The agent is restarted when `alive` was not called for so long; undefined when nobody waits for it. */
  readonly watchdogMs: number | undefined;
  ready(): void;
  alive(): void;
  stopping(): void;
  /** One line for people, shown by `systemctl status`. */
  status(line: string): void;
}

export const nobody: Supervisor = {
  watchdogMs: undefined,
  ready: () => undefined,
  alive: () => undefined,
  stopping: () => undefined,
  status: () => undefined,
};
