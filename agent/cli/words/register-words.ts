import type { AuditRecord } from '../../../protocol/norm/audit-record.ts';
import type { NormItem } from '../../../protocol/norm/editions.ts';
import { plural, type Words } from './language.ts';

// What dockctl says of the register and its audit. The terms are those of the act: see the words of the norm.

const english = {
  enrolled: (it: { camera: string }) => `${it.camera} is enrolled.`,
  enrolledBefore: (it: { camera: string }) => `${it.camera} was enrolled already.`,
  retired: (it: { camera: string }) => `${it.camera} is retired.`,
  replaced: (it: { camera: string; replaces: string }) =>
    `${it.camera} is enrolled in the place of ${it.replaces}, which is retired.`,
  transferred: (it: { camera: string; to: string }) => `${it.camera} has gone over to ${it.to}.`,
  refused: (it: { camera: string; reason: string }) => `${it.camera} is refused: ${it.reason}`,
  places: (it: { enrolled: number; quota: number }) => `${it.enrolled} of ${it.quota} places are taken.`,

  acts: {
    enrolled: 'enrolled',
    refused: 'refused',
    retired: 'retired',
    'service-life-due': 'service life',
    'assignment-installed': 'assignment',
    'register-confirmed': 'confirmed',
  } satisfies Record<AuditRecord['act'], string>,
  auditHead: ['RECORD', 'AT (UTC)', 'ACT', 'CAMERA', 'BY', 'TAKEN', 'WHY'],
  noRecords: 'No record matches.',
  whole: (it: { records: number; hash: string }) =>
    `Whole: ${plural('en', it.records, { one: 'record', other: 'records' })}, each follows from the one before. The last has the hash ${it.hash}`,
  broken: (it: { problem: string }) =>
    `NOT WHOLE: ${it.problem}. Keep the database as it is and call the department.`,

  items: { camera: 'camera', computer: 'computer' } satisfies Record<NormItem, string>,
  fleetHead: ['SERIAL NUMBER', 'WHAT', 'IN SERVICE SINCE', 'AGE (YEARS:MONTHS)', 'SERVICE LIFE ENDS', ''],
  calendarHead: ['REPLACE IN', 'CAMERAS', 'COMPUTERS'],
  over: 'SERVICE LIFE OVER',
  nothingEnrolled: 'Nothing is enrolled.',
};

const russian: typeof english = {
  enrolled: ({ camera }) => `${camera} поставлен на учёт.`,
  enrolledBefore: ({ camera }) => `${camera} уже был на учёте.`,
  retired: ({ camera }) => `${camera} снят с учёта.`,
  replaced: ({ camera, replaces }) => `${camera} поставлен на учёт вместо ${replaces}, который снят с учёта.`,
  transferred: ({ camera, to }) => `${camera} передан: ${to}.`,
  refused: ({ camera, reason }) => `${camera}: отказано, ${reason}`,
  places: ({ enrolled, quota }) => `Занято мест: ${enrolled} из ${quota}.`,

  acts: {
    enrolled: 'на учёт',
    refused: 'отказ',
    retired: 'снят с учёта',
    'service-life-due': 'срок эксплуатации',
    'assignment-installed': 'штат',
    'register-confirmed': 'подтверждён',
  },
  auditHead: ['ЗАПИСЬ', 'КОГДА (UTC)', 'ДЕЙСТВИЕ', 'РЕГИСТРАТОР', 'КТО', 'ЗАНЯТО', 'ПОЧЕМУ'],
  noRecords: 'Подходящих записей нет.',
  whole: ({ records, hash }) =>
    `Всё цело: ${plural('ru', records, { one: 'запись', few: 'записи', many: 'записей', other: 'записи' })}, каждая следует из предыдущей. Хеш последней: ${hash}`,
  broken: ({ problem }) =>
    `ЦЕЛОСТНОСТЬ НАРУШЕНА: ${problem}. Оставьте базу как есть и сообщите в департамент.`,

  items: { camera: 'регистратор', computer: 'компьютер' },
  fleetHead: ['СЕРИЙНЫЙ НОМЕР', 'ЧТО', 'В ЭКСПЛУАТАЦИИ С', 'ВОЗРАСТ (ЛЕТ:МЕС.)', 'СРОК ДО', ''],
  calendarHead: ['ЗАМЕНИТЬ В', 'РЕГИСТРАТОРОВ', 'КОМПЬЮТЕРОВ'],
  over: 'СРОК ИСТЁК',
  nothingEnrolled: 'На учёте ничего нет.',
};

const kazakh: typeof english = {
  enrolled: ({ camera }) => `${camera} есепке қойылды.`,
  enrolledBefore: ({ camera }) => `${camera} бұрыннан есепте.`,
  retired: ({ camera }) => `${camera} есептен шығарылды.`,
  replaced: ({ camera, replaces }) => `${camera} есептен шығарылған ${replaces} орнына есепке қойылды.`,
  transferred: ({ camera, to }) => `${camera} берілді: ${to}.`,
  refused: ({ camera, reason }) => `${camera}: бас тартылды, ${reason}`,
  places: ({ enrolled, quota }) => `${quota} орынның ${enrolled} орны алынған.`,

  acts: {
    enrolled: 'есепке қойылды',
    refused: 'бас тартылды',
    retired: 'есептен шығарылды',
    'service-life-due': 'пайдалану уақыты',
    'assignment-installed': 'штат саны',
    'register-confirmed': 'расталды',
  },
  auditHead: ['ЖАЗБА', 'ҚАШАН (UTC)', 'ӘРЕКЕТ', 'БЕЙНЕТІРКЕУІШ', 'КІМ', 'АЛЫНҒАН', 'НЕГЕ'],
  noRecords: 'Сәйкес жазба жоқ.',
  whole: ({ records, hash }) =>
    `Бәрі бүтін: ${plural('kk', records, { other: 'жазба' })}, әрқайсысы алдыңғысынан шығады. Соңғысының хеші: ${hash}`,
  broken: ({ problem }) =>
    `БҮТІНДІГІ БҰЗЫЛҒАН: ${problem}. Дерекқорды сол күйінде қалдырып, департаментке хабарлаңыз.`,

  items: { camera: 'бейнетіркеуіш', computer: 'компьютер' },
  fleetHead: ['СЕРИЯЛЫҚ НӨМІРІ', 'НЕ', 'ПАЙДАЛАНУДА', 'ЖАСЫ (ЖЫЛ:АЙ)', 'УАҚЫТЫ БІТЕДІ', ''],
  calendarHead: ['АЛМАСТЫРУ ЖЫЛЫ', 'БЕЙНЕТІРКЕУІШ', 'КОМПЬЮТЕР'],
  over: 'УАҚЫТЫ БІТТІ',
  nothingEnrolled: 'Есепте ештеңе жоқ.',
};

export const registerWords: Words<typeof english> = { en: english, ru: russian, kk: kazakh };
