import type { KeyObject } from 'node:crypto';
import type { Config } from '../config/schema.ts';
import { contentOf } from '../report/broker-credentials.ts';
import { Assignments, type AssignmentParts } from './assignments.ts';
import { readIssuerKey } from './verify-assignment.ts';

/** The assignments of the station, checked with the key that the configuration names. Errors: `config.unreadable`. */
export async function openAssignments(
  config: Config,
  parts: Pick<AssignmentParts, 'db' | 'outbox' | 'clock' | 'checkStationClock'>,
): Promise<Assignments> {
  const { department, post } = config.station;
  return await Assignments.open({
    ...parts,
    place: { department, post },
    issuerKey: issuerKeyOf(config),
    configuredHeadcount: config.post.headcount,
  });
}

/** Undefined where none is configured. Errors: `config.unreadable`. */
export function issuerKeyOf({ post }: Config): KeyObject | undefined {
  const content = contentOf(post.issuer_key_file);
  return content && readIssuerKey(content);
}
