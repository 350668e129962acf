import { errorCatalogue, type ErrorCode } from '../../../protocol/error-catalogue.ts';
import { kazakhErrors } from './kazakh-errors.ts';
import type { Language, Words } from './language.ts';
import { russianErrors } from './russian-errors.ts';

/** One language of the error catalogue: no code can be left out. */
export type ErrorTexts = Readonly<Record<ErrorCode, readonly [meaning: string, nextStep: string]>>;

const translated: Readonly<Record<Exclude<Language, 'en'>, ErrorTexts>> = {
  kk: kazakhErrors,
  ru: russianErrors,
};

/** Before what to do now. */
export const nowWord: Words<string> = { kk: 'Не істеу керек', ru: 'Что делать', en: 'Now' };

/** What a code means and what to do now; the English of it is the catalogue itself, which logs and events speak. */
export function errorText(code: ErrorCode, language: Language): { meaning: string; nextStep: string } {
  if (language === 'en') {
    const { meaning, nextStep } = errorCatalogue[code];
    return { meaning, nextStep };
  }
  const [meaning, nextStep] = translated[language][code];
  return { meaning, nextStep };
}
