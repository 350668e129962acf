import { plural, type Words } from './language.ts';

// What dockctl says of the norm, in the words of the act (Order No. 1358): заттай норма, жинақ, қызметкер; натуральная
// норма, комплект, работник.

/** The acts by which an edition is in force, by its id; one that is not here is cited as the data has it. */
export const citations: Words<Readonly<Record<string, (item: 1 | 2) => string>>> = {
  en: {},
  ru: {
    'order-1358-2021': (item) =>
      'Приказ Первого заместителя Премьер-Министра Республики Казахстан – Министра финансов Республики Казахстан ' +
      `от 10 декабря 2019 года № 1358 (зарегистрирован 20 декабря 2019 года, № 19747), пункт ${item}, в редакции приказа ` +
      'Министра финансов от 29 сентября 2021 года № 994',
  },
  kk: {
    'order-1358-2021': (item) =>
      'Қазақстан Республикасы Премьер-Министрінің Бірінші орынбасары – Қазақстан Республикасы Қаржы министрінің ' +
      `2019 жылғы 10 желтоқсандағы № 1358 бұйрығы (2019 жылғы 20 желтоқсанда № 19747 болып тіркелген), ${item}-тармақ, ` +
      'Қаржы министрінің 2021 жылғы 29 қыркүйектегі № 994 бұйрығының редакциясында',
  },
};

const english = {
  noWorkers: 'A post without workers has no norm: 0 sets.',
  allowed: (it: { headcount: number; sets: number }) =>
    `A post of ${it.headcount} may have ${it.sets} sets (a camera with its place in a docking station).`,
  firstRow: (it: { row: number; upTo: number; sets: number }) =>
    `Row ${it.row} of the norm: up to ${it.upTo} workers – ${it.sets} sets.`,
  middleRow: (it: { row: number; from: number; upTo: number; sets: number }) =>
    `Row ${it.row} of the norm: from ${it.from} to ${it.upTo} workers – ${it.sets} sets; the upper bound is included.`,
  lastRow: (it: { row: number; from: number; sets: number }) =>
    `Row ${it.row} of the norm: over ${it.from} workers – ${it.sets} sets.`,
  free: (it: { enrolled: number; free: number }) =>
    `With ${it.enrolled} enrolled, ${plural('en', it.free, { one: 'place is', other: 'places are' })} free: one more camera may be enrolled.`,
  full: (it: { enrolled: number; sets: number }) =>
    `With ${it.enrolled} enrolled, none of the ${it.sets} places is free: one more camera is refused. One that replaces another may come (dockctl replace).`,
  above: (it: { enrolled: number; surplus: number }) =>
    `With ${it.enrolled} enrolled, ${it.surplus} are more than the norm allows: nobody is thrown out, and nothing is enrolled.`,

  decided: (it: { number: number; at: string; station: string; by: string }) =>
    `Record ${it.number} of the audit, ${it.at} UTC, station ${it.station}, by ${it.by}.`,
  acts: {
    enrolled: (it: { camera: string }) => `Camera ${it.camera} was enrolled.`,
    refused: (it: { camera: string }) => `Camera ${it.camera} was refused.`,
    retired: (it: { camera: string }) => `Camera ${it.camera} was retired.`,
    other: () => 'No camera was enrolled or retired by it.',
  },
  computerActs: {
    enrolled: (it: { computer: string }) => `Computer ${it.computer} was registered for the department.`,
    refused: (it: { computer: string }) => `Computer ${it.computer} was refused.`,
    retired: (it: { computer: string }) => `Computer ${it.computer} was retired.`,
    other: () => 'No computer was registered or retired by it.',
  },
  computerRow: 'Item 2 of the norm: one personal computer for the department.',
  because: (it: { why: string }) => `Why: ${it.why}`,
  headcountSigned: (it: { headcount: number; number: number }) =>
    `The post had ${it.headcount} workers, by the signed post assignment no. ${it.number}.`,
  headcountUnsigned: (it: { headcount: number }) =>
    `The post had ${it.headcount} workers, stated by the configuration, unsigned.`,
  takenBefore: (it: { enrolled: number; sets: number }) =>
    `Before it ${it.enrolled} of ${it.sets} places were taken.`,
};

const russian: typeof english = {
  noWorkers: 'Для поста без работников нормы нет: 0 комплектов.',
  allowed: ({ headcount, sets }) =>
    `Посту с численностью ${headcount} положено комплектов: ${sets} (видеорегистратор с местом в док-станции).`,
  firstRow: ({ row, upTo, sets }) => `Строка ${row} нормы: до ${upTo} человек – ${sets} комплектов.`,
  middleRow: ({ row, from, upTo, sets }) =>
    `Строка ${row} нормы: от ${from} до ${upTo} человек – ${sets} комплектов; верхняя граница включена.`,
  lastRow: ({ row, from, sets }) => `Строка ${row} нормы: свыше ${from} человек – ${sets} комплектов.`,
  free: ({ enrolled, free }) =>
    `На учёте ${enrolled}, свободно ${plural('ru', free, { one: 'место', few: 'места', many: 'мест', other: 'места' })}: ещё один регистратор можно поставить на учёт.`,
  full: ({ enrolled, sets }) =>
    `На учёте ${enrolled}, из ${sets} мест не свободно ни одного: ещё одному откажут. Вместо другого поставить можно (dockctl replace).`,
  above: ({ enrolled, surplus }) =>
    `На учёте ${enrolled}, сверх нормы ${surplus}: никого не снимают, и никого не ставят на учёт.`,

  decided: ({ number, at, station, by }) =>
    `Запись ${number} журнала, ${at} UTC, станция ${station}, кто: ${by}.`,
  acts: {
    enrolled: ({ camera }) => `Регистратор ${camera} поставлен на учёт.`,
    refused: ({ camera }) => `Регистратору ${camera} отказано.`,
    retired: ({ camera }) => `Регистратор ${camera} снят с учёта.`,
    other: () => 'Ни один регистратор этим не поставлен на учёт и не снят.',
  },
  computerActs: {
    enrolled: ({ computer }) => `Компьютер ${computer} поставлен на учёт департамента.`,
    refused: ({ computer }) => `Компьютеру ${computer} отказано.`,
    retired: ({ computer }) => `Компьютер ${computer} снят с учёта.`,
    other: () => 'Ни один компьютер этим не поставлен на учёт и не снят.',
  },
  computerRow: 'Пункт 2 нормы: один персональный компьютер на департамент.',
  because: ({ why }) => `Почему: ${why}`,
  headcountSigned: ({ headcount, number }) =>
    `На посту было ${headcount} работников, по подписанному назначению поста № ${number}.`,
  headcountUnsigned: ({ headcount }) =>
    `На посту было ${headcount} работников, так сказано в конфигурации, без подписи.`,
  takenBefore: ({ enrolled, sets }) => `До этого было занято мест: ${enrolled} из ${sets}.`,
};

const kazakh: typeof english = {
  noWorkers: 'Қызметкері жоқ бекетке норма жоқ: 0 жинақ.',
  allowed: ({ headcount, sets }) =>
    `Қызметкер саны ${headcount} бекетке ${sets} жинақ тиесілі (бейнетіркеуіш пен оның док-станциядағы орны).`,
  firstRow: ({ row, upTo, sets }) => `Норманың ${row}-жолы: ${upTo} адамға дейін – ${sets} жинақ.`,
  middleRow: ({ row, from, upTo, sets }) =>
    `Норманың ${row}-жолы: ${from} адамнан ${upTo} адамға дейін – ${sets} жинақ; жоғарғы шегі қоса алынады.`,
  lastRow: ({ row, from, sets }) => `Норманың ${row}-жолы: ${from} адамнан жоғары – ${sets} жинақ.`,
  free: ({ enrolled, free }) =>
    `Есепте ${enrolled}, бос орын: ${plural('kk', free, { other: '' }).trim()}. Тағы бір бейнетіркеуішті есепке қоюға болады.`,
  full: ({ enrolled, sets }) =>
    `Есепте ${enrolled}, ${sets} орынның біреуі де бос емес: тағы біреуіне бас тартылады. Басқасының орнына қоюға болады (dockctl replace).`,
  above: ({ enrolled, surplus }) =>
    `Есепте ${enrolled}, нормадан артығы ${surplus}: ешқайсысы шығарылмайды, жаңасы да есепке қойылмайды.`,

  decided: ({ number, at, station, by }) =>
    `Журналдың ${number}-жазбасы, ${at} UTC, станция ${station}, кім: ${by}.`,
  acts: {
    enrolled: ({ camera }) => `${camera} бейнетіркеуіші есепке қойылды.`,
    refused: ({ camera }) => `${camera} бейнетіркеуішіне бас тартылды.`,
    retired: ({ camera }) => `${camera} бейнетіркеуіші есептен шығарылды.`,
    other: () => 'Бұл жазбамен ешбір бейнетіркеуіш есепке қойылмады да, шығарылмады да.',
  },
  computerActs: {
    enrolled: ({ computer }) => `${computer} компьютері департамент есебіне қойылды.`,
    refused: ({ computer }) => `${computer} компьютеріне бас тартылды.`,
    retired: ({ computer }) => `${computer} компьютері есептен шығарылды.`,
    other: () => 'Бұл жазбамен ешбір компьютер есепке қойылмады да, шығарылмады да.',
  },
  computerRow: 'Норманың 2-тармағы: департаментке бір дербес компьютер.',
  because: ({ why }) => `Себебі: ${why}`,
  headcountSigned: ({ headcount, number }) =>
    `Бекетте ${headcount} қызметкер болды, қол қойылған № ${number} бекет тағайындауы бойынша.`,
  headcountUnsigned: ({ headcount }) =>
    `Бекетте ${headcount} қызметкер болды, конфигурацияда солай көрсетілген, қол қойылмаған.`,
  takenBefore: ({ enrolled, sets }) => `Оған дейін ${sets} орынның ${enrolled} орны алынған еді.`,
};

export const normWords: Words<typeof english> = { en: english, ru: russian, kk: kazakh };
