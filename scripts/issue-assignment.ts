#!/usr/bin/env node
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { CompactSign } from 'jose';
import { systemClock } from '../dock/host/system-clock.ts';
import { assignmentType, postAssignment } from '../protocol/norm/assignment.ts';

const usage = `The department's side of post assignments, which state how many workers a post has.

  node scripts/issue-assignment.ts key FILE
      makes a key pair: FILE, private, which no station may ever have, and FILE.pub for post.issuer_key_file of
      the stations; what is there is never overwritten
  node scripts/issue-assignment.ts sign --key FILE --department NAME --post NAME --headcount N --number N
      --issuer TEXT --valid-until TIME [--valid-from TIME]
      prints the signed assignment; times in UTC, such as 2027-11-01T00:00:00Z; without a beginning from now on

Number the assignments of a post upwards: a station takes only one above all it had.
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    key: { type: 'string' },
    department: { type: 'string' },
    post: { type: 'string' },
    headcount: { type: 'string' },
    number: { type: 'string' },
    issuer: { type: 'string' },
    'valid-from': { type: 'string' },
    'valid-until': { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});

const [action, file] = positionals;
if (values.help) process.stdout.write(usage);
else if (action === 'key' && file !== undefined) makeKeyPair(file);
else if (action === 'sign' && values.key !== undefined) process.stdout.write(`${await sign(values.key)}\n`);
else fail(usage);

function makeKeyPair(path: string): void {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  try {
    if (existsSync(`${path}.pub`)) throw new Error(`${path}.pub is there`);
    writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem' }), { flag: 'wx', mode: 0o600 });
    writeFileSync(`${path}.pub`, publicKey.export({ type: 'spki', format: 'pem' }), { flag: 'wx' });
  } catch (error) {
    fail(`${error instanceof Error ? error.message : String(error)}: a key is never overwritten\n`);
  }
  process.stdout.write(`${path}\n${path}.pub\n`);
}

async function sign(keyFile: string): Promise<string> {
  const terms = postAssignment.safeParse({
    department: values.department,
    post: values.post,
    headcount: wholeNumber(values.headcount),
    validFrom: values['valid-from'] ?? new Date(systemClock.now()).toISOString(),
    validUntil: values['valid-until'],
    issuer: values.issuer,
    number: wholeNumber(values.number),
  });
  if (!terms.success) {
    const problems = terms.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}\n`);
    return fail(problems.join(''));
  }
  return await new CompactSign(new TextEncoder().encode(JSON.stringify(terms.data)))
    .setProtectedHeader({ alg: 'EdDSA', typ: assignmentType })
    .sign(createPrivateKey(readFileSync(keyFile)));
}

function wholeNumber(text = ''): number {
  return /^\d+$/.test(text) ? Number(text) : Number.NaN;
}

function fail(text: string): never {
  process.stderr.write(text);
  return process.exit(1);
}
