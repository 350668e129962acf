import { z } from 'zod';

/** What every payload of a station begins with. Version 1 only ever gains fields; readers ignore what they do not know. */
export const head = {
  v: z.literal(1).describe('version of the contract'),
  ts: z.iso.datetime().describe('RFC 3339, UTC, milliseconds, by the clock of the station'),
  seq: z.int().nonnegative().describe('grows with each message of this kind'),
};

export type Head = { v: 1; ts: string; seq: number };

/** No payload is longer, in bytes of UTF-8. */
export const maxPayloadBytes = 65_535;
