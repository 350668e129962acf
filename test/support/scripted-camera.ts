import { decodeCborMap, encodeCborMap } from '../../protocol/smp/cbor.ts';
import type { AnySmpCommand } from '../../protocol/smp/command.ts';
import { decodeSmpMessage, encodeSmpMessage, smpOp, type SmpMessage } from '../../protocol/smp/message.ts';
import type { ServedCamera } from '../../dock/simulator/serve.ts';

/** One request as the script sees it, with the answers that the camera would give. */
export interface ScriptedRequest {
  readonly message: SmpMessage;
  readonly body: Readonly<Record<string, unknown>>;
  /** Whether it is a request of this command. */
  is(command: AnySmpCommand): boolean;
  /** What the camera would send. */
  honest(): Uint8Array[];
  /** The body of the camera's first answer. */
  honestBody(): Readonly<Record<string, unknown>>;
  /** An answer to this request with a body of the script's choice. */
  answer(body: Readonly<Record<string, unknown>>): Uint8Array;
}

/** A camera whose answers go through a script: undefined leaves them as they are. */
export function scripted(
  camera: ServedCamera,
  script: (request: ScriptedRequest) => Uint8Array[] | undefined,
): ServedCamera {
  const answer = (frame: Uint8Array): Uint8Array[] => {
    const honest = (): Uint8Array[] => camera.server.answer(frame);
    const { message } = decodeSmpMessage(frame);
    const request: ScriptedRequest = {
      message,
      body: decodeCborMap(message.payload),
      is: ({ groupId, commandId, access }) =>
        message.groupId === groupId &&
        message.commandId === commandId &&
        message.op === (access === 'read' ? smpOp.readRequest : smpOp.writeRequest),
      honest,
      honestBody: () => decodeCborMap(decodeSmpMessage(honest()[0] ?? frame).message.payload),
      answer: (body) => encodeSmpMessage({ ...message, op: message.op + 1, payload: encodeCborMap(body) }),
    };
    return script(request) ?? honest();
  };
  return {
    get faults() {
      return camera.faults;
    },
    get isStalled() {
      return camera.isStalled;
    },
    server: { answer },
  };
}
