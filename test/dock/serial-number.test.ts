import { describe, expect, test } from 'vitest';
import { cameraProfileSchema } from '../../dock/camera/profile.ts';
import { expectForm, parseSerialNumber } from '../../dock/camera/serial-number.ts';

const refused = expect.objectContaining({ code: 'camera.identity-invalid' });

test.each(['BC-1001', 'bc-1001', ' BC - 1001 ', 'BC\u200B-1001', 'ＢＣ－１００１', 'BC\u00AD-1001\uFEFF'])(
  '%j is the camera BC-1001',
  (stated) => expect(parseSerialNumber(stated)).toBe('BC-1001'),
);

test.each(['', ' ', '-BC', 'BC/1', '../BC', 'BC+1', 'BC#1', 'ВС-1001', 'A'.repeat(49), 'BC\u0000'])(
  '%j is no serial number',
  (stated) => expect(() => parseSerialNumber(stated)).toThrow(refused),
);

describe('a profile limits the form', () => {
  test.each([
    ['BC-####', 'BC-1001'],
    ['@@-*', 'BC-1'],
    ['@@-*', 'BC-'],
    ['BC*X', 'BCX'],
    ['BC*X', 'BC-77.X'],
    ['*', 'ANY'],
  ])('%s takes %s', (form, serial) => {
    expect(() => expectForm(serial, { serial_numbers: ['X-1', form] })).not.toThrow();
  });

  test.each([
    ['BC-####', 'BC-101'],
    ['BC-####', 'BC-10011'],
    ['BC-####', 'BC-100A'],
    ['@@-*', 'B1-1'],
    ['BC*CX', 'BCX'],
    ['A.C', 'ABC'],
  ])('%s refuses %s', (form, serial) => {
    expect(() => expectForm(serial, { serial_numbers: [form] })).toThrow(refused);
  });

  test('and any is taken where it says nothing', () => {
    expect(() => expectForm('ANY', { serial_numbers: undefined })).not.toThrow();
  });

  test.each(['bc-#', '', 'A*B*C', 'A/B', 'A'.repeat(49)])('%j is no form', (form) => {
    const profile = { name: 'a', modes: [{ match: { vendor_id: '1209' } }], serial_numbers: [form] };
    expect(cameraProfileSchema.safeParse(profile).success).toBe(false);
  });
});
