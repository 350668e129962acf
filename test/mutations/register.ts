import { tests, type Mutation } from './mutation.ts';

const schema = 'agent/enrolment/register-schema/001-register.sql';
const postgres = tests('enrolment/postgres-register');

/** The register of a post and its audit: promise 3. */
export const registerMutations: readonly Mutation[] = [
  {
    name: 'guard-the-places-with-one-too-many',
    story: 'the database takes place number quota + 1 from whoever writes past its functions',
    file: schema,
    edits: [{ find: 'IF taken >= allowed OR NEW.place > allowed THEN', replace: 'IF taken > allowed THEN' }],
    catchers: postgres,
  },
  {
    name: 'perform-a-request-again',
    story: 'a request whose answer was lost is performed twice',
    file: schema,
    edits: [
      {
        find: "WHERE request_id = (request->>'id')::uuid",
        replace: 'WHERE request_id = gen_random_uuid()',
      },
    ],
    catchers: postgres,
  },
  {
    name: 'transfer-without-leaving',
    story: 'a transferred camera counts at both posts',
    file: schema,
    edits: [
      {
        find: "enrolment (item, serial_number) WHERE state = 'enrolled'",
        replace: "enrolment (post_id, item, serial_number) WHERE state = 'enrolled'",
      },
      {
        find: "      PERFORM dock.free(home, me.role, request, usage, serial,\n        jsonb_build_object('transferredTo',",
        replace: "      PERFORM jsonb_build_object('transferredTo',",
      },
    ],
    catchers: postgres,
  },
  {
    name: 'free-a-place-before-the-register-has-it',
    story: 'a retirement that waits ends another enrolment of the same camera',
    file: schema,
    edits: [{ find: "changed_at <> (request->>'enrolledAt')::bigint", replace: 'false' }],
    catchers: postgres,
  },
  {
    name: 'a-computer-for-every-post',
    story: 'the department has as many computers as posts',
    file: schema,
    edits: [
      {
        find: "CASE request->>'item' WHEN 'computer' THEN dock.department_of(me.post_id) ELSE me.post_id END;",
        replace: 'me.post_id;',
      },
    ],
    catchers: postgres,
  },
  {
    name: 'chain-only-the-own-record',
    story: 'an old record of the audit can be exchanged and nobody notices',
    file: 'agent/enrolment/audit-chain.ts',
    edits: [
      { find: 'hash: sha256(hash + digest) };', replace: 'hash: sha256(digest) };' },
      { find: 'sha256(this.#head.hash + digest) !== hash', replace: 'sha256(digest) !== hash' },
    ],
    catchers: tests('enrolment/audit-chain'),
  },
  {
    name: 'check-no-text-of-the-audit',
    story: 'the text of a record can be changed and nobody notices',
    file: 'agent/enrolment/audit-chain.ts',
    edits: [{ find: 'record !== null && sha256(record) !== digest', replace: '(false as boolean)' }],
    catchers: tests('enrolment/audit-chain'),
  },
  {
    name: 'report-a-service-life-every-hour',
    story: 'central monitoring hears of the same camera every hour',
    file: 'agent/enrolment/service-life.ts',
    edits: [{ find: 'months === undefined || months >= serviceReported', replace: 'months === undefined' }],
    catchers: tests('enrolment/register'),
  },
  {
    name: 'replace-in-two-acts',
    story: 'where the new camera is refused the old one is gone as well',
    file: 'agent/enrolment/sqlite-register.ts',
    edits: [
      {
        find: '      if (usage.enrolled > usage.quota) return this.#refuse(request, fullCodes[usage.item], usage);\n      this.#free({ ...request, ...old }, usage, { replacedBy: request.serialNumber });\n',
        replace:
          '      this.#free({ ...request, ...old }, usage, { replacedBy: request.serialNumber });\n      if (usage.enrolled > usage.quota) return this.#refuse(request, fullCodes[usage.item], usage);\n',
      },
    ],
    catchers: tests('enrolment/register'),
  },
];
