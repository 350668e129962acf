/** The languages of the people who stand in front of a station. */
export const languages = ['kk', 'ru', 'en'] as const;
export type Language = (typeof languages)[number];

/** The words of one part of dockctl, in each language. */
export type Words<T> = Readonly<Record<Language, T>>;

/** The first of LC_ALL, LC_MESSAGES and LANG that is set decides, as POSIX has it; any other language is English. */
export function languageOf(env: NodeJS.ProcessEnv): Language {
  const locale = env['LC_ALL'] || env['LC_MESSAGES'] || env['LANG'] || '';
  const name = /^[a-z]+/i.exec(locale)?.[0].toLowerCase();
  return languages.find((language) => language === name) ?? 'en';
}

/** The form that a number takes: Russian has `few` (2, 3, 4) and `many` (5 and more), Kazakh only `other`. */
export function plural(
  language: Language,
  count: number,
  forms: Partial<Readonly<Record<Intl.LDMLPluralRule, string>>> & { readonly other: string },
): string {
  return `${count} ${forms[new Intl.PluralRules(language).select(count)] ?? forms.other}`;
}
