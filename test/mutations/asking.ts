import { tests, type Mutation } from './mutation.ts';

const desk = 'agent/command/command-desk.ts';
const bayLoop = 'agent/session/bay-loop.ts';

/** What others ask of a station: commands over MQTT, requests of dockctl. */
export const askingMutations: readonly Mutation[] = [
  {
    name: 'do-a-repeated-command-again',
    story: 'a request sent twice over a bad line is done twice',
    file: desk,
    edits: [{ find: 'if (known !== undefined) this.#send', replace: 'if (false as boolean) this.#send' }],
    catchers: tests('command/command-desk'),
  },
  {
    name: 'let-one-answer-serve-two-requests',
    story: 'who reuses an id believes that another request was done',
    file: 'agent/command/command-answers.ts',
    edits: [{ find: "row['name'] === command && row['requested_by'] === by", replace: 'true as boolean' }],
    catchers: tests('command/command-desk'),
  },
  {
    name: 'keep-every-answer',
    story: 'the database grows with every command, for years',
    file: 'agent/command/command-answers.ts',
    edits: [{ find: 'SELECT max(rowid) FROM command) - ?', replace: 'SELECT 0) - ?' }],
    catchers: tests('command/command-desk'),
  },
  {
    name: 'do-what-the-broker-kept',
    story: 'a command that was left at the broker is done at each connection',
    file: desk,
    edits: [{ find: 'if (waiting.isRetained) throw', replace: 'if (false as boolean) throw' }],
    catchers: tests('command/commands: that the broker kept'),
  },
  {
    name: 'do-what-is-not-enabled',
    story: 'the control room enrols cameras at stations that were not configured for it',
    file: desk,
    edits: [
      { find: 'if (!this.#parts.enabled.includes(name)) throw', replace: 'if (false as boolean) throw' },
    ],
    catchers: tests('command/commands: enrols and retires'),
  },
  {
    name: 'do-old-commands',
    story: 'a request that was held back for an hour is done when nobody expects it',
    file: desk,
    edits: [{ find: 'ageMs > expiresSeconds * 1000 || ', replace: '' }],
    catchers: tests('command/commands: or is late'),
  },
  {
    name: 'do-lasting-commands-by-any-clock',
    story: 'a station with a wrong clock enrols on a request that ran out long ago',
    file: desk,
    edits: [{ find: 'if (commands[name].isLasting) throw', replace: 'if (false as boolean) throw' }],
    catchers: tests('command/commands: lasting effect'),
  },
  {
    name: 'answer-wherever-asked',
    story: 'whoever may send commands has the station say anything on any of its topics',
    file: desk,
    edits: [{ find: "responseTopic.startsWith(topics.response('')) &&", replace: '' }],
    catchers: tests('command/commands: MQTT 5'),
  },
  {
    name: 'take-every-command-of-a-flood',
    story: 'a sender that repeats itself fills the outbox',
    file: desk,
    edits: [{ find: 'if (isTooFast) throw', replace: 'if (false as boolean) throw' }],
    catchers: tests('command/commands: flood'),
  },
  {
    name: 'refuse-what-drains',
    story: 'a full station whose consumer missed an event can never be emptied again',
    file: desk,
    edits: [
      {
        find: 'this.#isOverfull() && !drains.has(command)',
        replace: "this.#isOverfull() && command !== 'acknowledge'",
      },
    ],
    catchers: tests('command/command-desk'),
  },
  {
    name: 'remove-what-monitoring-has-not-heard-of',
    story: 'cameras are emptied while the account of it is about to be refused',
    file: 'agent/session/docking-session.ts',
    edits: [{ find: " && this.#parts.outbox.backlog() !== 'ok';", replace: ' && (false as boolean);' }],
    catchers: tests('agent/backlog'),
  },
  {
    name: 'begin-sessions-of-an-overfull-station',
    story: 'what waits for central monitoring grows until the disk is full',
    file: bayLoop,
    edits: [
      {
        find: "while (outbox.backlog() === 'overfull')",
        replace: "while (outbox.backlog() === ('never' as string))",
      },
    ],
    catchers: tests('agent/backlog'),
  },
  {
    name: 'tell-receipts-as-events',
    story: 'each receipt makes an event that wants a receipt, without end',
    file: desk,
    edits: [
      {
        find: "command === 'acknowledge' ? this.#isNews(`${command} ${by}`) : !this.#isOverfull()",
        replace: '!this.#isOverfull()',
      },
    ],
    catchers: tests('command/commands: receipts'),
  },
  {
    name: 'pause-only-what-begins',
    story: 'a technician who paused a bay to work at it has a pull going on under the hands',
    file: bayLoop,
    edits: [{ find: "    this.#work.abort(new DockError('bay.paused', detail));\n", replace: '' }],
    catchers: tests('command/commands: begins, pauses'),
  },
  {
    name: 'leave-a-station-dark-after-a-reload',
    story: 'a configuration that does not work takes the whole station out of service',
    file: 'agent/agent-service.ts',
    edits: [{ find: '      await this.#run(before.loaded);\n', replace: '      throw error;\n' }],
    catchers: tests('service/reload: goes on with the one before'),
  },
];
