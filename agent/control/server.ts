import { chmod, rm } from 'node:fs/promises';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { asDockError, DockError } from '../../protocol/errors.ts';
import type { Log } from '../log.ts';
import {
  controlRequests,
  isControlRequestName,
  type ControlLine,
  type ControlRequest,
  type ControlRequestName,
} from './requests.ts';

// Importing node:http as a module evaluates all its exports, among them a web client of 16 MB resident memory.
const { createServer } = process.getBuiltinModule('node:http');

/** What a request may do while it is answered. */
export interface ControlReply {
  readonly item: (item: unknown) => Promise<void>;
  readonly progress: (progress: { done: number; total: number; what: string }) => Promise<void>;
  /** Aborts when the client goes away or the agent stops. */
  readonly signal: AbortSignal;
}

export type ControlHandlers = {
  readonly [N in ControlRequestName]: (request: ControlRequest<N>, reply: ControlReply) => Promise<unknown>;
};

const maxBodyBytes = 64 * 1024;
const maxConnections = 64;

/**
 * Listens on a Unix socket that the owner and its group may use. A hostile client gets an error or is cut off; it
 * cannot disturb the agent. Errors: `state.locked` when another agent answers on the socket.
 */
export async function startControlServer(
  path: string,
  handlers: ControlHandlers,
  log: Log,
): Promise<AsyncDisposable> {
  if (await isAnswered(path)) throw new DockError('state.locked', `an agent answers on ${path}`);
  await rm(path, { force: true });
  const stopping = new AbortController();
  const answers = new Set<Promise<void>>();
  const limits = { requestTimeout: 10_000, headersTimeout: 5000, connectionsCheckingInterval: 1000 };
  const server = createServer(limits, (request, response) => {
    const answered = answer(request, response, { handlers, stopping: stopping.signal, log })
      .catch((error: unknown) => {
        log.error('control-failed', { error });
        response.destroy();
      })
      .finally(() => answers.delete(answered));
    answers.add(answered);
  });
  server.maxConnections = maxConnections;
  server.on('clientError', (_error, socket) => socket.destroy());
  await listen(server, path);
  await chmod(path, 0o660);
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort(new DockError('internal.stopping'));
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // Who followed what happens has all of it, and a result at its end.
      await Promise.all(answers);
      server.closeAllConnections();
      await closed;
      await rm(path, { force: true });
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { handlers, stopping, log }: { handlers: ControlHandlers; stopping: AbortSignal; log: Log },
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort(new DockError('internal.stopping')));
  const signal = AbortSignal.any([gone.signal, stopping]);
  const send = async (line: ControlLine): Promise<void> => {
    if (response.destroyed) return;
    // A client that does not read makes the handler wait, not the memory grow. Waiting for 'drain' may wait for ever:
    // Node 26.10 does not emit it when the socket empties between a write that found it full and its uncorking.
    await new Promise<void>((resolve) => {
      const onTaken = (): void => {
        response.off('close', onTaken);
        stopping.removeEventListener('abort', onTaken);
        resolve();
      };
      response.on('close', onTaken);
      if (stopping.aborted)
        onTaken(); // slow readers are waited for no longer
      else stopping.addEventListener('abort', onTaken, { once: true });
      if (response.write(`${JSON.stringify(line)}\n`, onTaken)) onTaken();
    });
  };
  response.setHeader('content-type', 'application/jsonl');
  // One request a connection: what else a client sends is not waited for.
  response.setHeader('connection', 'close');
  response.flushHeaders();
  try {
    const result = await dispatch(request, handlers, {
      item: (item) => send({ kind: 'item', item }),
      progress: (progress) => send({ kind: 'progress', ...progress }),
      signal,
    });
    await send({ kind: 'result', result });
  } catch (error) {
    const { code, message, detail, nextStep, disposition } = asDockError(error);
    if (disposition === 'bug') log.error('control-failed', { error });
    await send({ kind: 'error', code, message, detail, nextStep });
  }
  response.end();
}

async function dispatch(
  request: IncomingMessage,
  handlers: ControlHandlers,
  reply: ControlReply,
): Promise<unknown> {
  const name = /^\/v1\/([a-z-]+)$/.exec(request.url ?? '')?.[1] ?? '';
  if (request.method !== 'POST' || !isControlRequestName(name)) {
    throw new DockError('control.unknown', `${request.method} ${request.url?.slice(0, 100)}`);
  }
  const parsed = controlRequests[name].safeParse(await readJson(request));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new DockError('control.bad-request', `${name}: ${issue?.path.join('.')} ${issue?.message}`);
  }
  return await handlers[name](parsed.data as never, reply);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBodyBytes)
      throw new DockError('control.bad-request', `more than ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  try {
    return sizeBytes === 0 ? {} : JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new DockError('control.bad-request', 'not JSON', { cause });
  }
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // Stays for good: a failed accept later on concerns one client, not the agent.
    server.on('error', (cause) => reject(new DockError('state.unusable', cause.message, { cause })));
    server.listen(path, () => resolve());
  });
}
