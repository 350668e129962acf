import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ConfigError, type ConfigProblem } from '../../agent/config/load.ts';
import { loadProfiles } from '../../agent/config/profiles.ts';

// Profiles are written by technicians, one file a model. Their order decides which of them a camera is taken for, and a
// broken one must be named with its line before the station goes to work without it.

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dock-profiles-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (file: string, text: string): void => writeFileSync(join(folder, file), text);
const profile = (name: string): string =>
  `name = "${name}"\n\n[[modes]]\nrecordings = "mtp"\n[modes.match]\nvendor_id = "2207"\n`;
const names = ({ generic = false } = {}): string[] =>
  loadProfiles({ cameras: { profiles: folder, generic } }).map(({ name }) => name);

function problems(): readonly (ConfigProblem & { file: string })[] {
  try {
    names();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((each) => ({ ...each, file: error.file }));
  }
  return [];
}

describe('camera profiles', () => {
  test('are the built-in ones where no folder is configured', () => {
    const of = (generic: boolean): string[] => loadProfiles({ cameras: { generic } }).map(({ name }) => name);
    expect(of(false)).toEqual(['smp-serial', 'smp-hid']);
    expect(of(true)).toEqual(['smp-serial', 'smp-hid', 'generic-mtp', 'generic-mass-storage']);
  });

  test('of the folder come first, in the order of their files, not of their names', () => {
    put('20-a.toml', profile('a'));
    put('10-b.toml', profile('b'));
    put('README', 'no profile');
    put('30-c.toml.bak', 'no profile');
    expect(names({ generic: true })).toEqual([
      'b',
      'a',
      'smp-serial',
      'smp-hid',
      'generic-mtp',
      'generic-mass-storage',
    ]);
  });

  test('have defaults for what they do not say', () => {
    put('a.toml', profile('a'));
    expect(loadProfiles({ cameras: { profiles: folder, generic: false } })[0]).toMatchObject({
      name: 'a',
      removal: 'allowed',
      clock_zone_minutes: 300,
      modes: [{ match: { vendor_id: '2207' }, recordings: 'mtp' }],
    });
  });

  test('of one name in two files are refused, and both files are named', () => {
    put('a.toml', profile('same'));
    put('b.toml', profile('same'));
    const message = `the name same is already used in ${join(folder, 'a.toml')}`;
    expect(problems()).toMatchObject([{ file: join(folder, 'b.toml'), key: 'name', message }]);
  });

  test.each<[string, string, { key: string; line: number | undefined; message?: unknown }[]]>([
    ['that is not TOML', 'name = "a"\nmodes = [\n', [{ key: '', line: 3 }]],
    [
      'that is empty',
      '',
      [
        { key: 'name', line: undefined },
        { key: 'modes', line: undefined },
      ],
    ],
    [
      'with unknown keys',
      `colour = "red"\n${profile('a')}speed = 3\n`,
      [
        { key: 'colour', line: 1, message: 'there is no such key' },
        { key: 'modes[0].match.speed', line: 8, message: 'there is no such key' },
      ],
    ],
    [
      'with wrong values',
      profile('A').replace('2207', '0x2207').replace('"mtp"', '"ftp"'),
      [
        { key: 'name', line: 1 },
        { key: 'modes[0].recordings', line: 4 },
        { key: 'modes[0].match.vendor_id', line: 6 },
      ],
    ],
    [
      'with a mode that cannot be',
      profile('a').replace('recordings = "mtp"', 'unlock = "mtp"'),
      [{ key: 'modes[0].unlock', line: 4, message: 'unlock needs a control channel' }],
    ],
  ])('in a file %s are refused with place and reason', (_what, text, expected) => {
    put('00-good.toml', profile('good'));
    put('bad.toml', text);
    expect(problems()).toMatchObject(expected.map((each) => ({ ...each, file: join(folder, 'bad.toml') })));
  });

  test('in a folder that cannot be read are named as such', () => {
    const unreadable = expect.objectContaining({ code: 'config.unreadable' });
    const missing = { cameras: { profiles: join(folder, 'none'), generic: false } };
    expect(() => loadProfiles(missing)).toThrow(unreadable);
    mkdirSync(join(folder, 'folder.toml'));
    expect(() => names()).toThrow(unreadable);
  });

  test('are at most 500: more files are a wrong folder', () => {
    for (let at = 0; at < 501; at++) put(`${at}.toml`, '');
    expect(() => names()).toThrow(/501 profiles, at most 500/);
  });
});
