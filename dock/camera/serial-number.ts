import { DockError } from '../../protocol/errors.ts';

/**
 * The serial number in the one form used everywhere: as key, in topics, as folder name. Look-alikes (case,
 * blanks, invisible characters) become one; anything else than letters, digits, dot, dash and underscore is
 * refused, so that it is safe in paths and topics. Errors: `camera.identity-invalid`.
 */
export function parseSerialNumber(stated: string): string {
  const normal = stated
    .normalize('NFKC')
    .replace(/[\p{White_Space}\p{Default_Ignorable_Code_Point}]/gu, '')
    .toUpperCase();
  if (!/^[A-Z0-9](?:[A-Z0-9._-]{0,46}[A-Z0-9])?$/.test(normal)) {
    throw new DockError('camera.identity-invalid', `serial number ${JSON.stringify(stated.slice(0, 64))}`);
  }
  return normal;
}
