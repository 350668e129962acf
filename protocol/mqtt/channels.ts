import type { z } from 'zod';
import { commandRequest, commandResponse } from './commands.ts';
import {
  alarmMessage,
  assignmentMessage,
  bayMessage,
  cameraMessage,
  healthMessage,
  infoMessage,
  quotaMessage,
  statusMessage,
} from './documents.ts';
import { eventEnvelope } from './events.ts';

/** One branch of the tree below a station, and what may be relied upon there. Quality of service is 1 everywhere. */
export interface Channel {
  /** Below the base of the station; `{}` is the one variable level. */
  readonly address: string;
  readonly sentBy: 'station' | 'monitoring';
  readonly isRetained: boolean;
  /** MQTT 5 message expiry: what is older says nothing any more. Under 3.1.1 the reader compares `ts`. */
  readonly expirySeconds?: number;
  readonly payload: z.ZodObject;
  readonly summary: string;
}

const day = 24 * 3600;

/** The contract: types, validation, JSON Schemas, AsyncAPI and the page all come from here. */
export const channels = {
  status: {
    address: 'status',
    sentBy: 'station',
    isRetained: true,
    payload: statusMessage,
    summary: 'Whether the station is there; also its last will.',
  },
  info: {
    address: 'info',
    sentBy: 'station',
    isRetained: true,
    payload: infoMessage,
    summary: 'What the station is made of, sent with each connection.',
  },
  health: {
    address: 'health',
    sentBy: 'station',
    isRetained: true,
    expirySeconds: 600,
    payload: healthMessage,
    summary: 'How the station is, in flat numbers, every period.',
  },
  quota: {
    address: 'quota',
    sentBy: 'station',
    isRetained: true,
    payload: quotaMessage,
    summary: 'The norm of the post and how much of it is used.',
  },
  bay: {
    address: 'bay/{bay}',
    sentBy: 'station',
    isRetained: true,
    expirySeconds: day,
    payload: bayMessage,
    summary: 'What is in the bay and what is being done.',
  },
  camera: {
    address: 'camera/{serialNumber}',
    sentBy: 'station',
    isRetained: true,
    payload: cameraMessage,
    summary: 'What was last known of a camera.',
  },
  alarm: {
    address: 'alarm/{code}',
    sentBy: 'station',
    isRetained: true,
    payload: alarmMessage,
    summary: 'Something a person has to look at, while it lasts; an empty payload clears it.',
  },
  assignment: {
    address: 'assignment',
    sentBy: 'monitoring',
    isRetained: true,
    payload: assignmentMessage,
    summary:
      'The signed post assignment that states the headcount. Only its signature and its number decide whether it comes into force; a station without an issuer key does not listen. What is signed: post-assignment.schema.json.',
  },
  event: {
    address: 'event/{type}',
    sentBy: 'station',
    isRetained: false,
    payload: eventEnvelope,
    summary: 'What happened, in order, at least once.',
  },
  command: {
    address: 'cmd/{name}',
    sentBy: 'monitoring',
    isRetained: false,
    expirySeconds: 30,
    payload: commandRequest,
    summary: 'A request to the station.',
  },
  response: {
    address: 'rsp/{name}',
    sentBy: 'station',
    isRetained: false,
    expirySeconds: 300,
    payload: commandResponse,
    summary: 'The answer to a request.',
  },
} as const satisfies Record<string, Channel>;

export type ChannelName = keyof typeof channels;
