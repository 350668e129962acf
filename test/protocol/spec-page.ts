import { readFileSync } from 'node:fs';
import * as cameraGroup from '../../protocol/smp/camera-group.ts';
import { parseAnswer, type AnySmpCommand, type SmpAnswer } from '../../protocol/smp/command.ts';
import type { SmpMessage } from '../../protocol/smp/message.ts';
import { annotatedHex } from './annotated-hex.ts';

/** Reads the public specification of the camera group as a camera maker's test suite would: as text. */
export const pageText = readFileSync(new URL('../../protocol/smp/camera-group.md', import.meta.url), 'utf8');

interface ExpectedBody<Kind extends string> {
  readonly kind: Kind;
  readonly command: string;
  readonly sequence: number;
  readonly body: Record<string, unknown>;
}

interface ExpectedFailure {
  readonly kind: 'failure';
  readonly command: string;
  readonly sequence: number;
  readonly scope: 'common' | number;
  readonly code: number;
  readonly reason?: string;
}

interface ExpectedFrame {
  readonly kind: 'frame';
  /** The name of the vector that the frame carries. */
  readonly message: string;
  /** Bytes of each line, marker and newline included. */
  readonly lines: readonly number[];
}

export type Expected = ExpectedBody<'request'> | ExpectedBody<'response'> | ExpectedFailure | ExpectedFrame;

export interface PageVector {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly expected: Expected;
}

export const pageVectors: readonly PageVector[] = [
  ...pageText.matchAll(/```hex vector ([a-z0-9-]+)\n(.*?)```\n\n```json expected\n(.*?)```/gs),
].map(([, name = '', hex = '', json = '']) => ({
  name,
  bytes: annotatedHex(hex),
  expected: JSON.parse(json, revive) as Expected,
}));

function revive(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('$hex' in value) return annotatedHex(String(value.$hex));
  if ('$uint' in value) return BigInt(String(value.$uint));
  return value;
}

/** Every command that camera-group.ts exports, by name. */
export const cameraCommands: ReadonlyMap<string, AnySmpCommand> = new Map(
  Object.values(cameraGroup)
    .filter((exported): exported is typeof cameraGroup.cameraIdentity => isCommand(exported))
    .map((command): [string, AnySmpCommand] => [command.name, command as AnySmpCommand]),
);

function isCommand(exported: unknown): boolean {
  return typeof exported === 'object' && exported !== null && 'commandId' in exported;
}

export function commandNamed(name: string): AnySmpCommand {
  const command = cameraCommands.get(name);
  if (!command) throw new Error(`no command is named ${name}`);
  return command;
}

export const unreadableEntry = 'unreadable entry';

/** The answer with its list entries parsed one by one, as the agent does; `parseAnswer` leaves them as they are. */
export function parseWithEntries(command: AnySmpCommand, message: SmpMessage): SmpAnswer<AnySmpCommand> {
  const answer = parseAnswer(command, message);
  if (answer.kind === 'failed' || command.name !== cameraGroup.cameraListRecordings.name) return answer;
  const { list } = cameraGroup.cameraListRecordings.response.parse(answer.body);
  const entries = list.map((entry) => cameraGroup.cameraListEntry.safeParse(entry));
  return {
    kind: 'ok',
    body: { ...answer.body, list: entries.map(({ data }) => data ?? unreadableEntry) },
  };
}
