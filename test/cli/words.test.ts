import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { errorText } from '../../agent/cli/words/error-texts.ts';
import { dockctlProgram } from '../../agent/cli/program.ts';
import { languageOf, languages, plural, type Language, type Words } from '../../agent/cli/words/language.ts';
import { registerWords } from '../../agent/cli/words/register-words.ts';
import { normWords } from '../../agent/cli/words/norm-words.ts';
import { stationWords } from '../../agent/cli/words/station-words.ts';
import { errorCatalogue, type ErrorCode } from '../../protocol/error-catalogue.ts';

// That nothing is missing the compiler says; here, that what is there says the same thing in each language.

const catalogues: Readonly<Record<string, Words<object>>> = { stationWords, registerWords, normWords };
const codes = Object.keys(errorCatalogue) as ErrorCode[];
const translations = languages.filter((language) => language !== 'en');
const cyrillic = /\p{Script=Cyrillic}/u;

/** Every text below, by its name; what stands in a text for a fact is the name of that fact. */
function textsOf(words: object, prefix = ''): Map<string, string> {
  const texts = new Map<string, string>();
  for (const [name, value] of Object.entries(words) as [string, unknown][]) {
    const key = prefix + name;
    if (typeof value === 'string') texts.set(key, value);
    else if (typeof value === 'function')
      texts.set(key, String((value as (facts: object) => unknown)(named)));
    else if (typeof value === 'object' && value !== null)
      for (const [inner, text] of textsOf(value, `${key}.`)) texts.set(inner, text);
  }
  return texts;
}

/** Every fact is there: its text is its name, as a number it is five. */
const named = new Proxy(
  {},
  {
    get: (_, fact) => ({
      [Symbol.toPrimitive]: (hint: string) => (hint === 'number' ? 5 : `<${String(fact)}>`),
    }),
  },
);

const factsIn = (text = ''): string[] => [...text.matchAll(/<\w+>/g)].map(([fact]) => fact).toSorted();
const commandNames = dockctlProgram().program.commands.flatMap((command) => [
  command.name(),
  ...command.commands.map((inner) => inner.name()),
]);
const commandWord = commandNames.join('|');
const untranslated = new RegExp(
  `dockctl(?: (?:${commandWord})\\b)*|--[a-z]+|\\[[a-z]+\\]|\\b[a-z]+(?:[._/-][a-z]+)+\\b|\\b[a-z]+ctl\\b`,
  'g',
);

/** What must not be translated: commands, options, sections and keys, other programs. */
const namesIn = (text: string): string[] => [...text.matchAll(untranslated)].map(([name]) => name).toSorted();

describe.each(Object.entries(catalogues))('%s', (_, words) => {
  test.each(translations)('says in %s what it says in English, with the same facts', (language) => {
    const english = textsOf(words.en);
    const texts = textsOf(words[language]);
    expect([...texts.keys()]).toEqual([...english.keys()]);
    for (const [key, text] of texts) {
      expect([key, factsIn(text)]).toEqual([key, factsIn(english.get(key))]);
      expect([key, namesIn(text)]).toEqual([key, namesIn(english.get(key) ?? '')]);
      // A few are nothing but facts.
      const isWords = /\p{L}/u.test((english.get(key) ?? '').replace(/<\w+>/g, ''));
      expect([key, text === '' || !isWords || cyrillic.test(text)]).toEqual([key, true]);
    }
  });
});

test('every word is said somewhere', () => {
  const sources = readdirSync('agent/cli', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.startsWith('words/'))
    .map((name) => readFileSync(`agent/cli/${name}`, 'utf8'))
    .join('\n');
  const unused = Object.values(catalogues).flatMap(({ en }) =>
    Object.keys(en).filter((name) => !new RegExp(`\\.${name}\\b`).test(sources)),
  );
  expect(unused).toEqual([]);
});

describe('error texts', () => {
  test.each(translations)('in %s name the same commands and keys as in English', (language) => {
    for (const code of codes) {
      const english = errorText(code, 'en');
      const { meaning, nextStep } = errorText(code, language);
      expect(cyrillic.test(meaning) && cyrillic.test(nextStep)).toBe(true);
      expect([code, namesIn(nextStep)]).toEqual([code, namesIn(english.nextStep)]);
    }
  });

  test.each(translations)(
    'in %s are one clause and a sentence, and no two codes mean the same',
    (language) => {
      const meanings = codes.map((code) => errorText(code, language).meaning);
      expect(meanings.filter((meaning) => /[.\n]$/.test(meaning))).toEqual([]);
      expect(codes.filter((code) => /^[а-я]/.test(errorText(code, language).nextStep))).toEqual([]);
    },
  );
});

test.each<[NodeJS.ProcessEnv, Language]>([
  [{}, 'en'],
  [{ LANG: 'C.UTF-8' }, 'en'],
  [{ LANG: 'kk_KZ.UTF-8' }, 'kk'],
  [{ LANG: 'kk_KZ.UTF-8', LC_MESSAGES: 'ru_KZ.UTF-8' }, 'ru'],
  [{ LANG: 'kk_KZ.UTF-8', LC_ALL: 'en_GB.UTF-8' }, 'en'],
  [{ LANG: 'ru', LC_ALL: '' }, 'ru'],
  [{ LANG: 'de_DE.UTF-8' }, 'en'],
])('the language of %j is %s', (env, language) => {
  expect(languageOf(env)).toBe(language);
});

test('numbers take the form that their language has for them', () => {
  const forms = { one: 'событие', few: 'события', other: 'событий' };
  expect([1, 2, 5, 11, 21, 22, 112].map((count) => plural('ru', count, forms))).toEqual([
    '1 событие',
    '2 события',
    '5 событий',
    '11 событий',
    '21 событие',
    '22 события',
    '112 событий',
  ]);
});
