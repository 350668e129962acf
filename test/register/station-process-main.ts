// The process of test/register/station-process.ts: performs one request after the other, until it is killed.
import { RegisterServer } from '../../agent/enrolment/register-server.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { hasCode } from '../../protocol/errors.ts';
import type { Operation } from './check-history.ts';
import type { Answered, Asked } from './station-process.ts';

let server: RegisterServer | undefined;
let key = '';

process.on('message', (asked: Asked | 'abandon') => {
  if (asked === 'abandon') {
    void server?.[Symbol.asyncDispose]();
    server = undefined;
    return;
  }
  const { login, request } = asked;
  perform({ login, request }).then(
    (outcome) => answer({ id: request.id, outcome }),
    (error: unknown) => {
      if (hasCode(error, 'enrolment.register-unreachable')) answer({ id: request.id, outcome: 'unknown' });
      else answer({ id: request.id, outcome: 'unknown', failure: String(error) });
    },
  );
});
process.on('disconnect', () => process.exit());

async function perform({ login, request }: Asked): Promise<Operation['outcome']> {
  if (!server || key !== JSON.stringify(login)) {
    await server?.[Symbol.asyncDispose]();
    key = JSON.stringify(login);
    server = new RegisterServer({ ...login, clock: systemClock, patienceMs: 20_000 });
  }
  const { answer: given } = await server.act(request);
  if (given.kind === 'enrolled' || given.kind === 'retired') return given.isNew ? given.kind : 'unchanged';
  return given.kind === 'refused' ? 'refused' : 'unchanged';
}

function answer(answered: Answered): void {
  process.send?.(answered);
}
