import { DockError } from '../../protocol/errors.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Reporter } from '../report/reporter.ts';
import type { CommandEffects } from './command-desk.ts';
import type { StationActions } from './station-actions.ts';

export interface CommandEffectParts {
  readonly actions: StationActions;
  readonly outbox: Outbox;
  readonly reporter: Reporter;
  readonly diagnostics: () => Promise<object>;
  /** Reads the configuration again, and has the agent start over with it. Absent where nobody can start it again. */
  readonly reloadConfiguration?: (() => Promise<void>) | undefined;
}

/** What central monitoring may have done. Who asked is recorded as stating a name over MQTT. */
export function commandEffects({
  actions,
  outbox,
  reporter,
  diagnostics,
  reloadConfiguration,
}: CommandEffectParts): CommandEffects {
  const overMqtt = (by: string): string => `${by} (MQTT)`;
  return {
    identify: (args) => actions.identify(args),
    pull: (args) => actions.pull(args),
    pause: (args, by) => actions.pause({ ...args, by: overMqtt(by) }),
    resume: (args) => actions.resume(args),
    diagnostics,
    replay: (range) => reporter.replay(range),
    acknowledge: ({ uptoSeq }) => ({ deliveredSeq: outbox.received(uptoSeq) }),
    'install-assignment': ({ assignment }, by) => actions.installAssignment(assignment, overMqtt(by)),
    'reload-configuration': async () => {
      if (!reloadConfiguration) throw new DockError('command.unsupported', 'nobody starts this agent again');
      await reloadConfiguration();
      return {};
    },
    enrol: (args, by) => actions.enrol({ ...args, by: overMqtt(by) }),
    retire: (args, by) => actions.retire({ ...args, by: overMqtt(by) }),
  };
}
