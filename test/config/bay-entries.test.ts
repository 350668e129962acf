import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  bayPorts,
  withLearnedBays,
  writeLearnedBays,
  type LearnedBay,
} from '../../agent/config/bay-entries.ts';
import { ConfigError, parseConfig } from '../../agent/config/load.ts';

// A program that writes into a file people keep by hand changes what it was asked to change and nothing else, or
// refuses; and whatever happens, there is a whole file.

const bay = (number: number, usbPort: string): LearnedBay => ({ number, usbPort });
const edit = (text: string, ...bays: LearnedBay[]): string => withLearnedBays(text, 'config.toml', bays);

const text = `# Our station.
[post]
headcount = 40 # as of May

[[bay]]            # left
number = 1
usb_port = "1-1.1" # the loose one

# The middle one.
[[bay]]
usb_port='1-1.2'
number = 2
[vault]
removal = "never"
`;

describe('bays that were learned', () => {
  test('take the place of the ports that were there, and all else stays', () => {
    expect(edit(text, bay(2, '3-4'), bay(1, '1-1.7'))).toBe(
      text.replace('"1-1.1"', '"1-1.7"').replace("'1-1.2'", '"3-4"'),
    );
  });

  test('may swap ports', () => {
    const swapped = parseConfig(edit(text, bay(1, '1-1.2'), bay(2, '1-1.1')), 'x');
    expect(swapped.bay.map(({ usb_port }) => usb_port)).toEqual(['1-1.2', '1-1.1']);
  });

  test('are added at the end where they are new', () => {
    const entry = '[[bay]]\nnumber = 7\nusb_port = "1-7"\n';
    expect(edit(text, bay(7, '1-7'))).toBe(`${text}\n${entry}`);
    expect(edit(text.trimEnd(), bay(7, '1-7'))).toBe(`${text}\n${entry}`);
    expect(edit('', bay(7, '1-7'))).toBe(entry);
    expect(edit(text)).toBe(text);
  });

  test('keep the line ends of the file', () => {
    const windows = text.replaceAll('\n', '\r\n');
    const edited = edit(windows, bay(1, '1-9'), bay(5, '1-5'));
    expect(edited.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    expect(parseConfig(edited, 'x').bay).toMatchObject([
      { usb_port: '1-9' },
      { usb_port: '1-1.2' },
      { number: 5 },
    ]);
  });

  test.each([
    ['a port that another bay keeps', text, bay(1, '1-1.2'), /port 1-1\.2 is already used/],
    [
      'a serial bay',
      '[[bay]]\nnumber = 1\nserial = { path = "/dev/a" }\n',
      bay(1, '1-1'),
      /in place of serial/,
    ],
    [
      'a serial bay with a table',
      '[[bay]]\nnumber = 1\n[bay.serial]\nusb_port = "1-2"\n',
      bay(1, '1-1'),
      /in place of serial/,
    ],
    ['bays in one line', 'bay = [{ number = 1, usb_port = "1-1" }]\n', bay(1, '1-9'), /usb_port/],
    [
      'bays in one line, one more',
      'bay = [{ number = 1, usb_port = "1-1" }]\n',
      bay(2, '1-9'),
      /config\.toml/,
    ],
    [
      'text that looks like bays',
      `x = """\n[[bay]]\nnumber = 1\nusb_port = "1-7"\n"""\n`,
      bay(1, '1-9'),
      /x: there is no such key/,
    ],
    [
      'a string that looks like a bay',
      `[post]\n[station]\nname = '''\n[[bay]]\nusb_port = "1-7"\n'''\n[[bay]]\nnumber = 1\nusb_port = "1-1"\n`,
      bay(1, '1-9'),
      /config\.toml/,
    ],
    ['what is no TOML', 'x = [', bay(1, '1-1'), /config\.toml:1/],
    ['other mistakes', '[post]\nheadcount = -1\n', bay(1, '1-1'), /config\.toml:2: post\.headcount/],
  ])('are refused beside %s', (_what, before, learned, message) => {
    expect(() => edit(before, learned)).toThrow(ConfigError);
    expect(() => edit(before, learned)).toThrow(message);
  });

  test('never change anything but the port, even where the text deceives', () => {
    const deceptive = `[broker]\nusername = """\n[[bay]]\nusb_port = "1-7"\n"""\n[[bay]]\nnumber = 1\nusb_port = "1-1"\n`;
    expect(() => edit(deceptive, bay(1, '1-9'))).toThrow(/by hand/);
  });
});

describe('the configuration file', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dock-bays-'));
    file = join(folder, 'config.toml');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('is replaced as a whole, keeps its mode, and leaves the one before as .bak', () => {
    writeFileSync(file, text, { mode: 0o640 });
    expect(writeLearnedBays(file, [bay(1, '1-9')]).bay[0]?.usb_port).toBe('1-9');
    expect(readFileSync(file, 'utf8')).toContain('"1-9" # the loose one');
    expect(readFileSync(`${file}.bak`, 'utf8')).toBe(text);
    for (const path of [file, `${file}.bak`]) expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder).toSorted()).toEqual(['config.toml', 'config.toml.bak']);
  });

  test('may be a link: what it leads to is replaced', () => {
    const real = join(folder, 'real.toml');
    writeFileSync(real, text);
    symlinkSync('real.toml', file);
    writeLearnedBays(file, [bay(1, '1-9')]);
    expect(lstatSync(file).isSymbolicLink()).toBe(true);
    expect(readFileSync(real, 'utf8')).toContain('1-9');
    expect(readFileSync(`${real}.bak`, 'utf8')).toBe(text);
  });

  test('is made where there is none', () => {
    writeLearnedBays(file, [bay(1, '1-9')]);
    expect(readdirSync(folder)).toEqual(['config.toml']);
  });

  test('stays as it is when the bays do not fit', () => {
    writeFileSync(file, text);
    expect(() => writeLearnedBays(file, [bay(1, '1-1.2')])).toThrow(ConfigError);
    expect(readdirSync(folder)).toEqual(['config.toml']);
    expect(readFileSync(file, 'utf8')).toBe(text);
    const nowhere = join(folder, 'none', 'config.toml');
    const unreadable = expect.objectContaining({ code: 'config.unreadable' });
    expect(() => writeLearnedBays(nowhere, [bay(1, '1-9')])).toThrow(unreadable);
  });
});

test('the list for the privileged helper has the port of each bay once, interfaces left out', () => {
  const config = parseConfig(
    `${text}[[bay]]\nnumber = 3\nserial = { usb_port = "1-5.2:1.0" }\n[[bay]]\nnumber = 4\nserial = { path = "/dev/ttyS0" }\n`,
    'x',
  );
  expect(bayPorts(config)).toBe('1-1.1\n1-1.2\n1-5.2\n');
});
