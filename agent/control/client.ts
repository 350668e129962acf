import { request as httpRequest } from 'node:http';
import { createInterface } from 'node:readline';
import { isErrorCode } from '../../protocol/error-catalogue.ts';
import { DockError } from '../../protocol/errors.ts';
import { controlLine, type ControlLine, type ControlRequestName } from './requests.ts';

/** An error that the agent answered with. */
export class ControlError extends DockError {
  /** As the agent worded it, already with its meaning. */
  readonly agentMessage: string;

  constructor(code: string, message: string) {
    super(isErrorCode(code) ? code : 'internal.bug');
    this.agentMessage = message;
    this.message = message;
  }
}

/**
 * Asks the agent and yields what it answers, line by line, the result last. Errors: `control.agent-down`,
 * and whatever the agent answers, as a ControlError.
 */
export async function* askAgent(
  socketPath: string,
  name: ControlRequestName,
  body: object,
): AsyncGenerator<Exclude<ControlLine, { kind: 'error' }>> {
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    const sent = httpRequest({ socketPath, path: `/v1/${name}`, method: 'POST' }, resolve);
    sent.once('error', (cause) => reject(new DockError('control.agent-down', socketPath, { cause })));
    sent.end(JSON.stringify(body));
  });
  try {
    for await (const text of createInterface({ input: response, crlfDelay: Infinity })) {
      const line = controlLine.parse(JSON.parse(text));
      if (line.kind === 'error') throw new ControlError(line.code, line.message);
      yield line;
    }
  } finally {
    response.destroy();
  }
}

/** The result alone. */
export async function askForResult(
  socketPath: string,
  name: ControlRequestName,
  body: object,
): Promise<unknown> {
  for await (const line of askAgent(socketPath, name, body)) {
    if (line.kind === 'result') return line.result;
  }
  throw new DockError('control.agent-down', `${socketPath}: the answer broke off`);
}
