import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { explainConfig } from '../../agent/config/explain.ts';
import { ConfigError, loadConfig, parseConfig, type ConfigProblem } from '../../agent/config/load.ts';
import { socketPathOf } from '../../agent/config/paths.ts';
import { configSchema } from '../../agent/config/schema.ts';

// A technician edits this file by hand, far from help: every problem is named at once, with its place, and no text
// whatever makes the agent do anything but say so.

const valid = `
# A station with two bays.
[station]
department = "almaty"
post = "khorgos"
name = "dock-1"

[post]
headcount = 40
enrolment = "manual"

[vault]
folder = "/srv/recordings"
removal = "when-verified"

[broker]
url = "mqtts://monitor.example:8883"
username = "dock-1"
password_file = "secret"

[[bay]]
number = 1
serial = { path = "/dev/serial/by-path/one", baud_rate = 921600, flow_control = "rtscts" }

[[bay]]
number = 2
[bay.serial]
usb_port = "1-1.2:1.0"
burst_lines = 4
`;

function problemsOf(text: string): readonly ConfigProblem[] {
  try {
    parseConfig(text, 'config.toml');
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('the configuration', () => {
  test('may be missing altogether', () => {
    const { config, file } = loadConfig(undefined, {});
    expect(file).toBeUndefined();
    expect(config).toMatchObject({
      station: { department: 'department', post: 'post', name: 'station' },
      post: { enrolment: 'automatic' },
      vault: { removal: 'never' },
      clock: { station_clock: 'checked', tolerance_ms: 100 },
      broker: { embedded_port: 1883 },
      bay: [],
    });
    expect(config.post.headcount).toBeUndefined();
    expect(config.broker.url).toBeUndefined();
    expect(socketPathOf(config)).toBe(join(process.cwd(), 'dock-state', 'control.sock'));
    expect(parseConfig('', 'empty.toml')).toEqual(configSchema.parse({}));
  });

  test('is taken as it stands, with defaults for what is not given', () => {
    const config = parseConfig(valid, 'config.toml');
    expect(config.post).toEqual({ headcount: 40, enrolment: 'manual' });
    expect(
      config.bay.map(({ number, serial }) => [number, serial?.path, serial?.usb_port, serial?.baud_rate]),
    ).toEqual([
      [1, '/dev/serial/by-path/one', undefined, 921_600],
      [2, undefined, '1-1.2:1.0', 115_200],
    ]);
  });

  test('with relative paths counts them from the folder of the file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'dock-config-'));
    mkdirSync(join(folder, 'etc'));
    const file = join(folder, 'etc', 'config.toml');
    writeFileSync(
      file,
      `[state]\nfolder = "../state"\n[broker]\nca_file = "ca.pem"\n[[bay]]\nnumber = 1\nserial = { path = "port" }\n`,
    );
    for (const loaded of [loadConfig(file, {}), loadConfig(undefined, { DOCK_CONFIG: file })]) {
      expect(loaded.file).toBe(file);
      expect(loaded.config.state.folder).toBe(join(folder, 'state'));
      expect(loaded.config.vault.folder).toBe(join(folder, 'state', 'vault'));
      expect(loaded.config.broker.ca_file).toBe(join(folder, 'etc', 'ca.pem'));
      expect(loaded.config.bay[0]?.serial?.path).toBe(join(folder, 'etc', 'port'));
    }
    rmSync(folder, { recursive: true });
    expect(() => loadConfig(file, {})).toThrow(expect.objectContaining({ code: 'config.unreadable' }));
    expect(() => loadConfig(tmpdir(), {})).toThrow(expect.objectContaining({ code: 'config.unreadable' }));
  });

  test('names all problems at once, each with its key and line, in the order of the file', () => {
    const text = `colour = "red"
[post]
headcount = -4
enrolment = "sometimes"
[broker]
url = "mqtt://user:password@host"
[[bay]]
number = 1
serial = { path = "/dev/a", usb_port = "1-1" }
[[bay]]
number = 1
[bay.serial]
path = "/dev/a"
baud_rate = 3
speed = "fast"
[[bay]]
number = 1000
serial = { }`;
    expect(problemsOf(text).map(({ key, line }) => `${line} ${key}`)).toEqual([
      '1 colour',
      '3 post.headcount',
      '4 post.enrolment',
      '6 broker.url',
      '9 bay[0].serial',
      '11 bay[1].number',
      '12 bay[1].serial',
      '14 bay[1].serial.baud_rate',
      '15 bay[1].serial.speed',
      '17 bay[2].number',
      '18 bay[2].serial',
    ]);
    expect(() => parseConfig(text, 'my.toml')).toThrow(
      /my\.toml:3: post\.headcount: .*0[^]*my\.toml:18: bay\[2\]/,
    );
  });

  test.each([
    ['station = 7', 'station', 1],
    ['[station]\nnme = "x"', 'station.nme', 2],
    ['post.headcount = 1.5', 'post.headcount', 1],
    ['[station]\npost = "a/b"', 'station.post', 2],
    ['[station]\npost = "#"', 'station.post', 2],
    ['[[bay]]\nserial = { path = "x" }', 'bay[0].number', 1],
    ['[[bay]]\nnumber = 1', 'bay[0]', 1],
    ['[broker]\nurl = "http://host"', 'broker.url', 2],
    ['[broker]\nurl = "mqtt://host:99999"', 'broker.url', 2],
    ['[bay]\nnumber = 1', 'bay', 1],
    ['\n\n[clock]\n  tolerance_ms   = 0', 'clock.tolerance_ms', 4],
  ])('that says %j is wrong at %s', (text, key, line) => {
    expect(problemsOf(text)).toMatchObject([{ key, line }]);
  });

  test.each([
    ['[[bay]]\nnumber = ', 2],
    ['a = 1\na = 2', 2],
    ['[post\nheadcount = 1', 1],
    ['x = "\u0001"', 1],
    ['a = 99999999999999999999', 1],
  ])('that is no TOML (%j) says in which line', (text, line) => {
    expect(problemsOf(text)).toMatchObject([{ key: '', line }]);
  });

  test('gives one bay number and one port to one bay only', () => {
    const bay = (number: number, port: string): string =>
      `[[bay]]\nnumber = ${number}\nserial = { ${port} }\n`;
    const [a, b] = ['path = "/dev/a"', 'usb_port = "1-2"'];
    expect(problemsOf(bay(1, a) + bay(2, b))).toEqual([]);
    expect(problemsOf(bay(1, a) + bay(1, b))).toMatchObject([
      { key: 'bay[1].number', message: 'number 1 is already used by bay[0]' },
    ]);
    expect(problemsOf(bay(1, b) + bay(2, a) + bay(3, b))).toMatchObject([
      { key: 'bay[2].serial', message: 'port 1-2 is already used by bay[0]' },
    ]);
    expect(problemsOf(bay(1, `${a}, ${b}`))).toMatchObject([{ message: 'give either path or usb_port' }]);
    expect(problemsOf(bay(1, ''))).toMatchObject([{ message: 'give either path or usb_port' }]);
  });
});

describe('the explanation of the configuration', () => {
  const explained = explainConfig();

  test('covers every key of the schema, and no other', () => {
    expect(explained.map(({ key }) => key)).toEqual([...leavesOf(configSchema, '')]);
  });

  test.each(explained.map((key) => [key.key, key] as const))(
    'has a sentence and a range for %s',
    (_, key) => {
      expect(key.sentence).toMatch(/^[A-Z].{8,}\.$/s);
      if (key.type !== 'integer' && key.type !== 'number') return;
      expect(key.range).toMatch(/^\d+ to \d+$|^\d+(, \d+)+$/);
      // Numbers of things printed on them or agreed elsewhere have no unit.
      if (!['bay[].number', 'broker.embedded_port'].includes(key.key)) expect(key.unit).toMatch(/\S/);
      if (key.key.endsWith('_ms')) expect(key.unit).toBe('ms');
      if (key.key.endsWith('_bytes')) expect(key.unit).toBe('bytes');
    },
  );

  test('gives defaults that are valid', () => {
    for (const { key, default: value } of explained) {
      if (value === undefined || key.includes('[]')) continue;
      const [section = '', name = ''] = key.split('.');
      expect(configSchema.safeParse({ [section]: { [name]: value } }).success, key).toBe(true);
    }
  });
});

describe('any text at all', () => {
  const check = (text: string): void => {
    try {
      parseConfig(text, 'config.toml');
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      expect(error.code).toBe('config.invalid');
      expect(error.problems.length).toBeGreaterThan(0);
    }
  };

  test('gives a configuration or its problems, never anything else', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), check), { numRuns: 500 });
    const word = fc.constantFrom(
      ...'[ ] [[ ]] = . , { } " \' """ # \n bay serial post headcount number 1 -1 1e9 nan inf true'.split(
        ' ',
      ),
      '1979-05-27',
      '__proto__',
      'constructor',
    );
    fc.assert(
      fc.property(
        fc.array(word, { maxLength: 40 }).map((words) => words.join(' ')),
        check,
      ),
      { numRuns: 2000 },
    );
  });

  test('gives so for a good file with some bytes changed', () => {
    const edit = fc.record({
      at: fc.nat(valid.length),
      remove: fc.nat(12),
      insert: fc.oneof(
        fc.string({ unit: 'binary', maxLength: 6 }),
        fc.constantFrom('[', ']', '"', '\n', '=', '.', '-'),
      ),
    });
    const mutated = fc
      .array(edit, { minLength: 1, maxLength: 4 })
      .map((edits) =>
        edits.reduce(
          (text, { at, remove, insert }) => text.slice(0, at) + insert + text.slice(at + remove),
          valid,
        ),
      );
    fc.assert(fc.property(mutated, check), { numRuns: 1500 });
  });

  test.each([
    ['nested arrays', `a = ${'['.repeat(100_000)}`],
    ['nested tables', `a = ${'{a='.repeat(100_000)}`],
    ['a long dotted key', `${'a.'.repeat(20_000)}a = 1`],
    ['a key that is a prototype', '[__proto__]\nx = 1\n[constructor]\ny = 1'],
    ['many bays', '[[bay]]\nnumber = 1\n'.repeat(2000)],
    ['a long header in a string', `x = """\n[[${' '.repeat(50_000)}"""\n`],
    ['a long string', `[station]\nname = "${'x'.repeat(1_000_000)}"`],
  ])('such as %s is answered', (_what, text) => {
    check(text);
  });
});

function* leavesOf(schema: z.core.$ZodType, prefix: string): Generator<string> {
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodDefault || schema instanceof z.ZodOptional) {
    yield* leavesOf(schema.unwrap(), prefix);
  } else if (schema instanceof z.ZodArray) {
    const isTable = schema.element instanceof z.ZodObject;
    yield* leavesOf(schema.element, isTable ? `${prefix}[]` : prefix);
  } else if (schema instanceof z.ZodObject) {
    for (const [name, child] of Object.entries(schema.shape as Record<string, z.core.$ZodType>)) {
      yield* leavesOf(child, prefix ? `${prefix}.${name}` : name);
    }
  } else yield prefix;
}
