import { z } from 'zod';

/** Building blocks of SMP bodies, after CBOR decoding. */

/** Unsigned integer up to 2^53 - 1. */
export const uint = z.int().nonnegative();

/** Unsigned integer of 64 bits; above 2^53 - 1 it arrives as a bigint and stays one. */
export const uint64 = z.union([uint, z.bigint().nonnegative()]);

/** UTC milliseconds since 1970: years 1970 to 9999, so that every value is a valid Date. */
export const timestampMs = z.int().min(0).max(253_402_300_799_999);

export const byteString = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes');

export const sha256Bytes = byteString.refine((bytes) => bytes.length === 32, 'a SHA-256 digest has 32 bytes');
