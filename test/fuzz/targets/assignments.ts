import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { verifyAssignment } from '../../../agent/enrolment/verify-assignment.ts';
import { assignmentType, postAssignment } from '../../../protocol/norm/assignment.ts';
import { bytesOfText, expectThat, orRefusedLater, utf8, type FuzzTarget } from '../target.ts';

/** The same at each run, so that a finding is one again. */
const issuerSeed = Buffer.from('302e020100300506032b657004220420' + '17'.repeat(32), 'hex');
const privateKey = createPrivateKey({ key: issuerSeed, format: 'der', type: 'pkcs8' });
const expectation = { issuerKey: createPublicKey(privateKey), place: { department: 'd', post: 'p' } };

const payload = JSON.stringify({
  department: 'd',
  post: 'p',
  headcount: 120,
  validFrom: '2026-11-01T00:00:00Z',
  validUntil: '2027-11-01T00:00:00Z',
  issuer: 'Department',
  number: 7,
});
const header = JSON.stringify({ alg: 'EdDSA', typ: assignmentType });
const words = [
  '.',
  '..',
  '=',
  'e30',
  'eyJhbGciOiJub25lIn0',
  '"alg":"none"',
  '"b64":false',
  '"crit":["b64"]',
  '{}',
];
const refusals = [
  'assignment.malformed',
  'assignment.oversize',
  'assignment.bad-signature',
  'assignment.other-post',
] as const;

export const assignmentTargets: readonly FuzzTarget[] = [
  {
    name: 'assignment-jws',
    story: 'what is given for a post assignment: refused, or word for word what the issuer signed',
    seeds: bytesOfText(jws(header, payload), jws('{"alg":"EdDSA"}', payload), 'a.b.c', ''),
    words,
    async run(input) {
      const text = utf8(input);
      const taken = await orRefusedLater(refusals, () => verifyAssignment(text, expectation));
      const signed = jws(header, payload);
      const unsigned = (of: string): string => of.slice(0, of.lastIndexOf('.'));
      expectThat(!taken || unsigned(text) === unsigned(signed), 'taken without being signed');
    },
  },
  {
    name: 'assignment-payload',
    story:
      'what an issuer signs by mistake: refused, or an assignment with all its terms in range, and no more',
    seeds: bytesOfText(payload, '{}', '[]', 'null', '"headcount"'),
    words: [
      '"headcount":',
      '"number":',
      '-1',
      '1e9',
      '1.5',
      '"post":"q"',
      '2027-11-01T00:00:00Z',
      'null',
      '__proto__',
    ],
    async run(input) {
      const signed = jws(header, input);
      const taken = await orRefusedLater(refusals, () => verifyAssignment(signed, expectation));
      if (taken)
        expectThat(postAssignment.safeParse(taken).success && taken.post === 'p', 'terms out of range');
    },
  },
];

function jws(head: string, body: string | Uint8Array): string {
  const text = `${Buffer.from(head).toString('base64url')}.${Buffer.from(body).toString('base64url')}`;
  return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`;
}
