import type { IncomingMessage } from 'node:http';
import { isErrorCode } from '../../protocol/error-catalogue.ts';
import { DockError } from '../../protocol/errors.ts';
import { controlLine, type ControlLine, type ControlRequestName } from './requests.ts';

// See server.ts: a plain import of node:http costs memory and start-up time.
const { request: httpRequest } = process.getBuiltinModule('node:http');

/**
 * Asks the agent and yields what it answers, line by line, the result last. Errors: `control.agent-down`,
 * and whatever the agent answers.
 */
export async function* askAgent(
  socketPath: string,
  name: ControlRequestName,
  body: object,
): AsyncGenerator<Exclude<ControlLine, { kind: 'error' }>> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = httpRequest({ socketPath, path: `/v1/${name}`, method: 'POST' }, resolve);
    sent.on('error', (cause) => reject(new DockError('control.agent-down', cause.message, { cause })));
    sent.end(JSON.stringify(body));
  });
  try {
    for await (const text of linesOf(response)) {
      const line = controlLine.parse(JSON.parse(text));
      if (line.kind === 'error') throw errorOf(line);
      yield line;
      if (line.kind === 'result') return;
    }
  } finally {
    response.destroy();
  }
  throw brokenOff(socketPath);
}

/** Whole lines only; readline would wait for ever on an answer that breaks off. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  response.setEncoding('utf8');
  let rest = '';
  try {
    for await (const chunk of response as AsyncIterable<string>) {
      rest += chunk;
      if (!chunk.includes('\n')) continue;
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch {
    // The connection broke: whoever reads misses the result.
  }
}

/** An agent of another version may know codes that this one does not. */
function errorOf({ code, message, detail }: Extract<ControlLine, { kind: 'error' }>): DockError {
  return isErrorCode(code)
    ? new DockError(code, detail)
    : new DockError('control.unknown-error', `${message} [${code}]`);
}

function brokenOff(socketPath: string): DockError {
  return new DockError('control.agent-down', `${socketPath}: the answer broke off`);
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
  throw brokenOff(socketPath);
}
