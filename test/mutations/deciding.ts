import { seeds, tests, type Mutation } from './mutation.ts';

const never = 'if (false as boolean) {';
const session = 'agent/session/docking-session.ts';
const sessionLog = 'agent/session/session-log.ts';
const register = 'agent/enrolment/sqlite-register.ts';
const assignments = 'agent/enrolment/assignments.ts';

/** Removal, quota, accounting, reports, clocks, identity, bays: promises 1 and 3 to 7. */
export const decidingMutations: readonly Mutation[] = [
  {
    name: 'remove-in-spite-of-another-digest',
    story: 'the camera is told to remove what was never stored',
    file: session,
    edits: [
      { find: 'if (stated !== undefined && stated !== proof.sha256)', replace: 'if (false as boolean)' },
    ],
    catchers: tests('agent/identity-and-copies', 'agent/hostile-camera'),
  },
  {
    name: 'take-a-namesake-for-the-stored-one',
    story:
      'a recording that only has the name, size and time of a stored one is removed with the proof of that one',
    file: session,
    edits: [{ find: 'told.sha256 === entry.sha256 ? entry : this.#catalogued(told)', replace: 'entry' }],
    catchers: tests('agent/identity-and-copies'),
  },
  {
    name: 'count-a-namesake-as-held',
    story:
      'where nothing is removed, another recording of the name, size and time of a stored one is never stored',
    file: session,
    edits: [{ find: '    else await this.#compareHeld(safe);\n', replace: '' }],
    catchers: [seeds(419), ...tests('agent/identity-and-copies')],
  },
  {
    name: 'take-what-was-taken-over-for-what-is-held',
    story:
      'a file that an earlier session left linked counts for another recording of its name, never stored',
    file: session,
    edits: [
      {
        find: 'if (entry) return { recording, proof, entry };',
        replace: 'return { recording, proof, entry };',
      },
    ],
    catchers: tests('agent/identity-and-copies'),
  },
  {
    name: 'compare-again-at-each-try',
    story: 'a camera with one bad recording is read from end to end every few minutes',
    file: session,
    edits: [{ find: '      this.#compared.add(sourceKey);\n', replace: '' }],
    catchers: tests('agent/identity-and-copies'),
  },
  {
    name: 'count-a-repair-twice',
    story: 'a copy that was pulled again makes the account say more than was listed',
    file: session,
    edits: [
      {
        find: 'if (stored !== undefined && stored === known?.id) this',
        replace: 'if (false as boolean) this',
      },
    ],
    catchers: tests('agent/policy'),
  },
  {
    name: 'refuse-a-namesake',
    story: 'another recording with the name of a stored one is never stored',
    file: session,
    edits: [
      {
        find: 'const pulled = await this.#pull(told, () => undefined);',
        replace: 'const pulled = undefined as Safe | undefined;',
      },
    ],
    catchers: tests('agent/identity-and-copies'),
  },
  {
    name: 'remove-unannounced',
    story: 'after a power cut nobody knows that the station removed it',
    file: session,
    edits: [{ find: '    this.#log.removalIntended(proof.recordingId);\n', replace: '' }],
    catchers: tests('agent/policy'),
  },
  {
    name: 'remove-against-the-policy',
    story: 'removal = "never" empties cameras all the same',
    file: session,
    edits: [
      {
        find: "this.#parts.config.vault.removal === 'when-verified' && this.#camera.remove !== undefined",
        replace: 'this.#camera.remove !== undefined',
      },
    ],
    catchers: tests('agent/docking', 'agent/policy'),
  },
  {
    name: 'settle-removals-by-a-broken-list',
    story: 'a list that could not be read in full shows recordings as removed',
    file: sessionLog,
    edits: [{ find: '    if (listed.some(({ defect }) => defect !== undefined)) return;\n', replace: '' }],
    catchers: tests('agent/session-log'),
  },
  {
    name: 'forget-the-quarantined-in-the-account',
    story: 'listed is more than all the rest, or a gap is silence',
    file: sessionLog,
    edits: [{ find: "      this.count('quarantined');\n", replace: '' }],
    catchers: tests('agent/hostile-camera: any of its digests loses nothing'),
  },
  {
    name: 'forget-the-held-in-the-account',
    story: 'the same for what is stored already',
    file: session,
    edits: [{ find: "          this.#log.count('held');\n", replace: '' }],
    catchers: tests('agent/policy', 'agent/identity-and-copies'),
  },
  {
    name: 'forget-the-stored-in-the-account',
    story: 'the same for what was stored',
    file: 'agent/vault/intake.ts',
    edits: [{ find: 'SET stored = stored + 1', replace: 'SET stored = stored + 0' }],
    catchers: tests('agent/docking'),
  },
  {
    name: 'leave-interrupted-sessions-open',
    story: 'a session that a crash ended is never accounted for',
    file: 'agent/station.ts',
    edits: [{ find: '  closeInterruptedSessions(station);\n', replace: '' }],
    catchers: tests('agent/session-log'),
  },
  {
    name: 'quota-off-by-one',
    story: 'a post gets one camera more than its norm',
    file: register,
    edits: [{ find: 'usage.enrolled >= usage.quota', replace: 'usage.enrolled > usage.quota' }],
    catchers: tests('enrolment/register'),
  },
  {
    name: 'quota-counted-outside-the-transaction',
    story: 'two bays take the same last place',
    file: register,
    edits: [
      {
        find: '    return this.#db.transaction(() => {\n      const usage = this.#usage(request.item);\n      if (this.#state(request)',
        replace:
          '    const usage = this.#usage(request.item);\n    await undefined;\n    return this.#db.transaction(() => {\n      if (this.#state(request)',
      },
    ].map(({ find, replace }) => ({
      find: `${find} === 'enrolled') return { kind: 'enrolled', isNew: false, usage };\n      if (!usage`,
      replace: `${replace} === 'enrolled') return { kind: 'enrolled', isNew: false, usage };\n      if (!usage`,
    })),
    catchers: tests('enrolment/register'),
  },
  {
    name: 'count-retired-cameras',
    story: 'a retired camera keeps its place for ever',
    file: register,
    edits: [
      { find: "WHERE state = 'enrolled') AS enrolled", replace: "WHERE state <> 'refused') AS enrolled" },
    ],
    catchers: tests('enrolment/register'),
  },
  {
    name: 'norm-row-without-its-upper-bound',
    story: 'a post of exactly 50 gets the norm of 51',
    file: 'protocol/norm/quota.ts',
    edits: [{ find: 'count <= upTo', replace: 'count < upTo' }],
    catchers: tests('enrolment/norm'),
  },
  {
    name: 'fix-a-key-that-is-fixed',
    story: 'a later camera takes the place of an enrolled one with its own key',
    file: register,
    edits: [{ find: '\n       AND public_key IS NULL`', replace: '`' }],
    catchers: tests('enrolment/register'),
  },
  {
    name: 'accept-an-assignment-of-anybody',
    story: 'whoever can write JSON states the headcount of the post',
    file: 'agent/enrolment/verify-assignment.ts',
    edits: [
      {
        find: "    const { payload, protectedHeader } = await compactVerify(jws, issuerKey, {\n      algorithms: ['EdDSA', 'Ed25519'],\n    });\n",
        replace:
          "    void [compactVerify, issuerKey];\n    const [head = '', body = ''] = jws.split('.');\n    const protectedHeader = JSON.parse(Buffer.from(head, 'base64url').toString()) as { typ?: string };\n    const payload = Buffer.from(body, 'base64url');\n",
      },
    ],
    catchers: tests('enrolment/assignments'),
  },
  {
    name: 'accept-an-assignment-twice',
    story: 'an assignment is put into force again with the number it had',
    file: assignments,
    edits: [{ find: 'if (number <= newest)', replace: 'if (number < newest)' }],
    catchers: tests('enrolment/assignments'),
  },
  {
    name: 'forget-what-was-installed-while-verifying',
    story: 'of two assignments that come at once the older one may stay',
    file: assignments,
    edits: [{ find: '      this.#requireNewer(assignment);\n      db.run(', replace: '      db.run(' }],
    catchers: tests('enrolment/assignments'),
  },
  {
    name: 'accept-an-assignment-of-another-post',
    story: 'a small post gets the headcount of a large one',
    file: 'agent/enrolment/verify-assignment.ts',
    edits: [{ find: ' || post !== place.post', replace: '' }],
    catchers: tests('enrolment/assignments'),
  },
  {
    name: 'end-an-assignment-that-ran-out',
    story: 'a post stops because its department is late',
    file: assignments,
    edits: [
      {
        find: 'if (this.#inForce) return',
        replace:
          'if (this.#inForce && Date.parse(this.#inForce.assignment.validUntil) > this.#parts.clock.now()) return',
      },
    ],
    catchers: tests('enrolment/assignments'),
  },
  {
    name: 'trust-any-clock-for-an-assignment',
    story: 'a station whose clock stands in the past takes an assignment that ran out years ago',
    file: assignments,
    edits: [
      { find: 'if (!isTrusted) throw', replace: 'if (!isTrusted && this.#parts.db === undefined) throw' },
    ],
    catchers: tests('enrolment/assignments'),
  },
  {
    name: 'believe-the-database-for-an-assignment',
    story: 'whoever can write the database of a station states its headcount',
    file: assignments,
    edits: [
      {
        find: "const assignment = await verifyAssignment(String(row['jws']), { issuerKey, place });",
        replace:
          "const [, body = ''] = String(row['jws']).split('.');\n        const assignment = JSON.parse(Buffer.from(body, 'base64url').toString()) as PostAssignment;\n        void [verifyAssignment, place];",
      },
    ],
    catchers: tests('enrolment/assignments'),
  },
  {
    name: 'count-unsigned-workers-under-an-issuer',
    story: 'with an issuer key and no assignment the configuration states the headcount after all',
    file: assignments,
    edits: [{ find: 'headcount: undefined };', replace: 'headcount: configuredHeadcount };' }],
    catchers: tests('enrolment/assignments'),
  },
  {
    name: 'accept-any-signature',
    story: 'whoever states a serial number is that camera',
    file: 'agent/enrolment/authenticate.ts',
    edits: [{ find: "    throw new DockError('camera.impostor', serialNumber);\n", replace: '' }],
    catchers: tests('enrolment/admit'),
  },
  {
    name: 'prove-the-key-that-is-stated',
    story: 'a stranger proves its own key and is served as the enrolled camera',
    file: 'agent/enrolment/admit.ts',
    edits: [
      {
        find: 'const key = standing.publicKey ?? publicKey;',
        replace: 'const key = publicKey ?? standing.publicKey;',
      },
    ],
    catchers: tests('enrolment/admit'),
  },
  {
    name: 'use-a-stranger',
    story: 'a keyboard inside a camera is opened',
    file: 'dock/camera/recognise.ts',
    edits: [
      {
        find: "return unexpected.length > 0 ? { kind: 'stranger', unexpected } : { kind: 'camera', profile, mode };",
        replace: "return { kind: 'camera', profile, mode };",
      },
    ],
    catchers: tests('dock/recognise'),
  },
  {
    name: 'drop-an-outbox-row',
    story: 'central monitoring never hears of a stored recording',
    file: 'agent/vault/intake.ts',
    edits: [
      {
        find: "    outbox.record('recording-stored', {",
        replace: "    if (false as boolean) outbox.record('recording-stored', {",
      },
    ],
    catchers: tests('vault/commit-rule', 'agent/docking'),
  },
  {
    name: 'event-outside-the-transaction',
    story: 'a fact without its event, or an event without its fact',
    file: 'agent/state/database.ts',
    edits: [
      {
        find: "if (this.#db.isTransaction) this.#db.exec('ROLLBACK');",
        replace: "if (this.#db.isTransaction) this.#db.exec('COMMIT');",
      },
    ],
    catchers: tests('report/outbox'),
  },
  {
    name: 'acknowledge-before-the-broker',
    story: 'an event that the broker never got counts as delivered',
    file: 'agent/report/event-pump.ts',
    edits: [
      {
        find: "answered.slice(together.length).filter(({ state }) => state === 'acknowledged')",
        replace: 'answered.slice(together.length)',
      },
    ],
    catchers: tests('report/mqtt'),
  },
  {
    name: 'events-out-of-order',
    story: 'the newest event leaves first',
    file: 'agent/report/outbox.ts',
    edits: [
      {
        find: 'WHERE seq > ? ORDER BY seq LIMIT ?`,\n        isBrokerEnough',
        replace: 'WHERE seq > ? ORDER BY seq DESC LIMIT ?`,\n        isBrokerEnough',
      },
    ],
    catchers: tests('report/mqtt', 'report/outbox'),
  },
  {
    name: 'mark-beyond-what-was-acknowledged',
    story: 'an event behind a hole in the acknowledgements counts as delivered',
    file: 'agent/report/event-pump.ts',
    edits: [
      {
        find: 'answered.slice(0, unbroken < 0 ? undefined : unbroken)',
        replace: 'answered.slice()',
      },
    ],
    catchers: tests('report/mqtt'),
  },
  {
    name: 'believe-a-late-will',
    story: 'the control room calls a station lost that has long come back',
    file: 'agent/cli/fleet/fleet-model.ts',
    edits: [
      {
        find: "if (status.state === 'lost' && status.session < known.session) return true;",
        replace: '',
      },
      {
        find: 'const isSameRunEarlier = status.instance === known.instance && status.session < known.session;',
        replace: 'const isSameRunEarlier = false;',
      },
    ],
    catchers: tests('fleet/fleet-model'),
  },
  {
    name: 'take-the-next-number-for-the-next-event',
    story: 'a check proves sequences whole in which events are missing',
    file: 'agent/cli/fleet/event-sequence.ts',
    edits: [
      {
        find: "if (gap.upTo <= gap.after) return 'next';",
        replace: "if (gap.upTo >= gap.after) return 'next';",
      },
    ],
    catchers: tests('fleet/event-sequence', 'fleet/fleet-check'),
  },
  {
    name: 'forget-events-that-wait',
    story: 'a broker that is down for weeks never gets what happened first',
    file: 'agent/report/outbox.ts',
    edits: [
      {
        find: `coalesce((SELECT max(seq) FROM event WHERE seq < (SELECT min(seq) FROM waiting_event)) - 1,
             (SELECT min(seq) FROM waiting_event) - 1, ?)`,
        replace: 'coalesce(NULL, ?)',
      },
    ],
    catchers: tests('report/outbox'),
  },
  {
    name: 'set-clocks-by-a-clock-that-is-off',
    story: 'every recording of the post gets the wrong time',
    file: 'agent/clock/settle.ts',
    edits: [
      {
        find: "    if (!station.isTrusted) throw new DockError('clock.station-untrusted', station.evidence);\n",
        replace: '',
      },
    ],
    catchers: tests('agent/clock'),
  },
  {
    name: 'trust-what-chrony-does-not-say',
    story: 'an answer cut short counts as a perfect clock',
    file: 'agent/clock/station-clock.ts',
    edits: [{ find: 'Number(fields[index]?.trim() || Number.NaN)', replace: 'Number(fields[index])' }],
    catchers: tests('fuzz/fuzz: station-clock'),
  },
  {
    name: 'an-error-ends-the-bay',
    story: 'one fault nobody foresaw, and the bay stays dark until the restart',
    file: 'agent/session/bay-loop.ts',
    edits: [
      {
        find: "        log.error('bay-failed', { bay: this.bay, error });\n",
        replace:
          "        if (this.bay > 0) throw error;\n        log.error('bay-failed', { bay: this.bay, error });\n",
      },
    ],
    catchers: tests('agent/hostile-camera: cannot even be written down', 'agent/bay-loop'),
  },
  {
    name: 'serve-one-camera-in-two-bays',
    story: 'a second camera of the same number is emptied under the name of the first',
    file: 'agent/session/bay-loop.ts',
    edits: [{ find: 'if (otherBay !== undefined && otherBay !== this.bay) {', replace: never }],
    catchers: tests('agent/hostile-camera: the serial number of one docked already'),
  },
  {
    name: 'store-a-duplicate-entry-twice',
    story: 'a list that names a recording twice has it pulled twice at once',
    file: 'agent/ingest/plan.ts',
    edits: [
      {
        find: 'if (seenIds.has(recording.id) || seenKeys.has(sourceKey)) {',
        replace: 'if (seenIds.has(recording.id)) {',
      },
    ],
    catchers: tests('vault/plan'),
  },
  {
    name: 'recover-the-vault-once',
    story: 'a disk that fails while the vault is brought in order keeps every bay waiting for the next start',
    file: 'agent/agent.ts',
    edits: [{ find: '    attempt = recoverStation(station, signal);\n', replace: '' }],
    catchers: [seeds(328561803)],
  },
  {
    name: 'forget-the-newer-replay',
    story: 'who asks for a replay while another runs gets no answer',
    file: 'agent/report/replay.ts',
    edits: [{ find: 'if (this.#left !== range) return;', replace: '' }],
    catchers: tests('report/replay'),
  },
  {
    name: 'replay-as-if-new',
    story: 'a consumer takes what it is sent once more for what happens now',
    file: 'agent/report/stored-event.ts',
    edits: [{ find: 'isReplayed ? { ...head, historical: true } : head', replace: 'head' }],
    catchers: tests('report/replay'),
  },
  {
    name: 'set-cameras-to-before-1970',
    story: 'a camera set by a clock that is vouched for and impossible is never read again',
    file: 'agent/clock/settle.ts',
    edits: [{ find: 'if (clock.now() < earliestStationAt)', replace: 'if (false as boolean)' }],
    catchers: [seeds(1146772361)],
  },
  {
    name: 'count-as-held-until-it-is-pulled',
    story: 'a database that fails in between leaves an account of more recordings than were listed',
    file: session,
    edits: [
      { find: '    this.#countAnother(entry);\n    const pulled', replace: '    const pulled' },
      {
        find: 'if (stored !== undefined && stored === known?.id) this.#countAnother(entry, -1);',
        replace: 'if (stored === undefined || stored !== known?.id) this.#countAnother(entry);',
      },
    ],
    catchers: [seeds(1146774794)],
  },
];
