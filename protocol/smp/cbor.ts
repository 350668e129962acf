import * as cborg from 'cborg';
import { DockError } from '../errors.ts';

/**
 * CBOR as SMP uses it: one map with text keys. Servers answer with indefinite lengths, so both forms are
 * accepted; what we send is definite and in the order given.
 */
export function encodeCborMap(map: Readonly<Record<string, unknown>>): Uint8Array {
  // A key that is undefined is absent: `{ len: undefined }` must not reach the wire.
  const present = Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined));
  return cborg.encode(present, { mapSorter: keepOrder });
}

/** An empty payload counts as an empty map. Errors: `wire.malformed`. */
export function decodeCborMap(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  if (bytes.length === 0) return {};
  let value: unknown;
  try {
    value = cborg.decode(bytes, {
      allowIndefinite: true,
      allowBigInt: true,
      allowInfinity: false,
      allowNaN: false,
      rejectDuplicateMapKeys: true,
      strict: false,
    });
    if (holdsBreak(value)) throw new Error('a break in place of a value');
  } catch (cause) {
    // Includes the RangeError of a nesting deeper than the stack.
    throw new DockError('wire.malformed', cause instanceof Error ? cause.message.slice(0, 200) : 'CBOR', {
      cause,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw new DockError('wire.malformed', 'the payload is not a CBOR map');
  }
  return { ...value };
}

function keepOrder(): number {
  return 0;
}

/** cborg takes a break in place of a map's value for a value, and gives a symbol. */
function holdsBreak(value: unknown): boolean {
  if (typeof value === 'symbol') return true;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  return Object.values(value).some(holdsBreak);
}
