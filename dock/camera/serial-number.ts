import { DockError } from '../../protocol/errors.ts';
import type { CameraProfile } from './profile.ts';

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

/**
 * That a serial number has one of the forms that the profile of the camera gives: `#` a digit, `@` a letter, one `*`
 * anything. Errors: `camera.identity-invalid`.
 */
export function expectForm(
  serialNumber: string,
  { serial_numbers: forms }: Pick<CameraProfile, 'serial_numbers'>,
): void {
  if (!forms || forms.some((form) => hasForm(serialNumber, form))) return;
  throw new DockError('camera.identity-invalid', `${serialNumber} is none of ${forms.join(', ')}`);
}

function hasForm(serialNumber: string, form: string): boolean {
  const [start = '', end] = form.split('*');
  if (end === undefined) return serialNumber.length === form.length && hasLetters(serialNumber, form);
  return (
    serialNumber.length >= start.length + end.length &&
    hasLetters(serialNumber.slice(0, start.length), start) &&
    hasLetters(serialNumber.slice(serialNumber.length - end.length), end)
  );
}

function hasLetters(text: string, form: string): boolean {
  for (let at = 0; at < form.length; at++) {
    const [letter = '', found = ''] = [form[at], text[at]];
    const fits =
      letter === '#' ? /^[0-9]$/.test(found) : letter === '@' ? /^[A-Z]$/.test(found) : letter === found;
    if (!fits) return false;
  }
  return true;
}
