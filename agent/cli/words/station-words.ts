import type { BayPhase } from '../../../protocol/mqtt/documents.ts';
import { plural, type Words } from './language.ts';

// What dockctl says of the station, its bays, cameras and recordings.

const english = {
  yes: 'yes',
  no: 'no',
  phases: {
    empty: 'empty',
    charging: 'charging',
    identifying: 'identifying',
    enrolling: 'enrolling',
    clock: 'clock',
    listing: 'listing',
    pulling: 'pulling',
    removing: 'removing',
    ready: 'ready',
    refused: 'refused',
    attention: 'attention',
    quarantined: 'quarantined',
    paused: 'paused',
  } satisfies Record<BayPhase, string>,
  levels: { ok: 'ok', warning: 'warning', critical: 'critical' },
  enrolments: { enrolled: 'enrolled', retired: 'retired', refused: 'refused', unknown: 'unknown' },
  outcomes: {
    complete: 'complete',
    interrupted: 'interrupted',
    refused: 'refused',
    attention: 'attention',
    running: 'running',
  },

  station: (it: { name: string; post: string; department: string; version: string; since: string }) =>
    `Station ${it.name} of post ${it.post}, department ${it.department} (agent ${it.version}, since ${it.since})`,
  allBaysWell: 'All bays are well.',
  lookAtBay: (it: { bays: string; why: string }) => `Look at bay ${it.bays}: ${it.why}`,
  whatToDo: (it: { nextStep: string }) => `What to do: ${it.nextStep}`,
  vaultProblem: (it: { meaning: string; code: string }) => `The vault: ${it.meaning} [${it.code}]`,
  clocksWait: 'Camera clocks are not set until the clock of this station is synchronised: chronyc tracking',
  recordingsLine: (it: { stored: number; quarantined: number; free: string; folder: string }) =>
    `Recordings   ${it.stored} stored, ${it.quarantined} in quarantine, ${it.free} free in ${it.folder}`,
  unknownRoom: 'unknown room',
  clockLine: (it: { evidence: string }) => `Clock        may be given to cameras: ${it.evidence}`,
  clockBadLine: (it: { evidence: string }) => `Clock        cameras are NOT set: ${it.evidence}`,
  brokerLine: (it: { url: string; version: string; count: number }) =>
    `Broker       ${it.url}, connected (MQTT ${it.version}), ${plural('en', it.count, { one: 'event', other: 'events' })} waiting`,
  brokerAwayLine: (it: { url: string; why: string; count: number }) =>
    `Broker       ${it.url}, not connected: ${it.why}, ${plural('en', it.count, { one: 'event', other: 'events' })} waiting`,
  notYet: 'not yet',

  noBays: 'No bays are configured. Add [[bay]] entries: dockctl config explain',
  bayHead: ['BAY', 'CAMERA', 'PHASE', 'RECORDINGS', 'PULLED', 'SPEED', ''],
  pulled: (it: { done: string; planned: string }) => `${it.done} of ${it.planned}`,
  perSecond: (it: { rate: string }) => `${it.rate}/s`,
  identify: 'IDENTIFY',

  noCameras: 'No camera was ever seen here.',
  cameraHead: [
    'CAMERA',
    'ENROLMENT',
    'KEY',
    'BAY',
    'MODEL',
    'BATTERY',
    'CLOCK WAS',
    'CLOCK IS',
    'DRIFT',
    'RECORDINGS',
    'LAST DOCKED',
  ],

  noRecordings: 'No recordings are stored.',
  recordingHead: ['CAMERA', 'PATH ON CAMERA', 'SIZE', 'KIND', 'STORED (UTC)', 'ON CAMERA', 'FILE'],
  kinds: { video: 'video', audio: 'audio', photo: 'photo', other: 'other' },
  isProtected: 'protected',
  filesIn: (it: { folder: string }) => `Files are in ${it.folder}`,

  sessionHead: [
    'STARTED',
    'BAY',
    'CAMERA',
    'OUTCOME',
    'LISTED',
    'STORED',
    'HELD',
    'QUARANTINED',
    'REFUSED',
    'LEFT',
    'CODE',
  ],

  noFaults: 'No bay and no camera has failed.',
  faultHead: ['BAY', 'CAMERA', 'CODE', 'TIMES', 'LAST (UTC)'],
  bayToBlame: (it: { bay: string; cameras: string }) =>
    `Bay ${it.bay} is to blame: ${it.cameras} failed here and did well in other bays.`,
  cameraToBlame: (it: { camera: string; bays: string }) =>
    `Camera ${it.camera} is to blame: failed in bays ${it.bays}, where others did well.`,
  didNotSay: '(did not say)',
  cannotTell: 'Whether a bay or a camera is to blame cannot be told yet: try the camera in another bay.',

  verifying: (it: { done: number; total: number }) => `${it.done} of ${it.total} recordings`,
  verified: (it: { checked: number; size: string; intact: number; damaged: number; missing: number }) =>
    `${plural('en', it.checked, { one: 'recording', other: 'recordings' })} read back (${it.size}): ${it.intact} intact, ${it.damaged} damaged, ${it.missing} missing`,

  begun: (it: { bays: string }) => `Begun: bay ${it.bays}. See dockctl bays.`,
  paused: (it: { bays: string; until: string }) => `Paused until ${it.until}: bay ${it.bays}.`,
  resumed: (it: { bays: string }) => `Resumed: bay ${it.bays}.`,
  nonePaused: 'No bay was paused.',
  shown: (it: { bays: string; until: string }) => `Shown until ${it.until}: bay ${it.bays}.`,
};

const russian: typeof english = {
  yes: 'да',
  no: 'нет',
  phases: {
    empty: 'пусто',
    charging: 'зарядка',
    identifying: 'опознание',
    enrolling: 'учёт',
    clock: 'часы',
    listing: 'список',
    pulling: 'скачивание',
    removing: 'удаление',
    ready: 'готово',
    refused: 'отказ',
    attention: 'внимание',
    quarantined: 'изолировано',
    paused: 'пауза',
  },
  levels: { ok: 'в порядке', warning: 'внимание', critical: 'срочно' },
  enrolments: { enrolled: 'на учёте', retired: 'снят', refused: 'отказано', unknown: 'неизвестно' },
  outcomes: {
    complete: 'завершён',
    interrupted: 'прерван',
    refused: 'отказ',
    attention: 'внимание',
    running: 'идёт',
  },

  station: ({ name, post, department, version, since }) =>
    `Станция ${name}, пост ${post}, департамент ${department} (агент ${version}, с ${since})`,
  allBaysWell: 'Все гнёзда в порядке.',
  lookAtBay: ({ bays, why }) => `Посмотрите гнездо ${bays}: ${why}`,
  whatToDo: ({ nextStep }) => `Что делать: ${nextStep}`,
  vaultProblem: ({ meaning, code }) => `Хранилище: ${meaning} [${code}]`,
  clocksWait: 'Часы регистраторов не ставятся, пока не синхронизированы часы станции: chronyc tracking',
  recordingsLine: ({ stored, quarantined, free, folder }) =>
    `Записи       сохранено ${stored}, изолировано ${quarantined}, свободно ${free} в ${folder}`,
  unknownRoom: 'неизвестно сколько',
  clockLine: ({ evidence }) => `Часы         годны для регистраторов: ${evidence}`,
  clockBadLine: ({ evidence }) => `Часы         регистраторам НЕ ставятся: ${evidence}`,
  brokerLine: ({ url, version, count }) =>
    `Брокер       ${url}, на связи (MQTT ${version}), в очереди ${plural('ru', count, eventForms)}`,
  brokerAwayLine: ({ url, why, count }) =>
    `Брокер       ${url}, нет связи: ${why}, в очереди ${plural('ru', count, eventForms)}`,
  notYet: 'ещё нет',

  noBays: 'Гнёзда не настроены. Добавьте разделы [[bay]]: dockctl config explain',
  bayHead: ['ГНЕЗДО', 'РЕГИСТРАТОР', 'СОСТОЯНИЕ', 'ЗАПИСИ', 'СКАЧАНО', 'СКОРОСТЬ', ''],
  pulled: ({ done, planned }) => `${done} из ${planned}`,
  perSecond: ({ rate }) => `${rate}/с`,
  identify: 'ПОКАЗАТЬ',

  noCameras: 'Здесь ещё не видели ни одного регистратора.',
  cameraHead: [
    'РЕГИСТРАТОР',
    'УЧЁТ',
    'КЛЮЧ',
    'ГНЕЗДО',
    'МОДЕЛЬ',
    'БАТАРЕЯ',
    'ЧАСЫ БЫЛИ',
    'ЧАСЫ СЕЙЧАС',
    'УХОД',
    'ЗАПИСИ',
    'БЫЛ ЗДЕСЬ',
  ],

  noRecordings: 'Сохранённых записей нет.',
  recordingHead: ['РЕГИСТРАТОР', 'ПУТЬ НА НЁМ', 'РАЗМЕР', 'ВИД', 'СОХРАНЕНО (UTC)', 'ЕЩЁ НА НЁМ', 'ФАЙЛ'],
  kinds: { video: 'видео', audio: 'звук', photo: 'фото', other: 'другое' },
  isProtected: 'защищено',
  filesIn: ({ folder }) => `Файлы лежат в ${folder}`,

  sessionHead: [
    'НАЧАЛО',
    'ГНЕЗДО',
    'РЕГИСТРАТОР',
    'ИТОГ',
    'В СПИСКЕ',
    'СОХРАНЕНО',
    'БЫЛО',
    'ИЗОЛИРОВАНО',
    'ОТКАЗАНО',
    'ОСТАЛОСЬ',
    'КОД',
  ],

  noFaults: 'Ни гнёзда, ни регистраторы не отказывали.',
  faultHead: ['ГНЕЗДО', 'РЕГИСТРАТОР', 'КОД', 'РАЗ', 'ПОСЛЕДНИЙ (UTC)'],
  bayToBlame: ({ bay, cameras }) =>
    `Виновато гнездо ${bay}: ${cameras} отказали здесь и хорошо работали в других гнёздах.`,
  cameraToBlame: ({ camera, bays }) =>
    `Виноват регистратор ${camera}: отказал в гнёздах ${bays}, где другие хорошо работали.`,
  didNotSay: '(не назвался)',
  cannotTell: 'Гнездо виновато или регистратор, пока неясно: попробуйте регистратор в другом гнезде.',

  verifying: ({ done, total }) => `${done} из ${plural('ru', total, { one: 'записи', other: 'записей' })}`,
  verified: ({ checked, size, intact, damaged, missing }) =>
    `Прочитано ${plural('ru', checked, { one: 'запись', few: 'записи', other: 'записей' })} (${size}): целых ${intact}, повреждённых ${damaged}, отсутствующих ${missing}`,

  begun: ({ bays }) => `Начато: гнездо ${bays}. См. dockctl bays.`,
  paused: ({ bays, until }) => `Пауза до ${until}: гнездо ${bays}.`,
  resumed: ({ bays }) => `Продолжается: гнездо ${bays}.`,
  nonePaused: 'Ни одно гнездо не было приостановлено.',
  shown: ({ bays, until }) => `Показывается до ${until}: гнездо ${bays}.`,
};

const kazakh: typeof english = {
  yes: 'иә',
  no: 'жоқ',
  phases: {
    empty: 'бос',
    charging: 'зарядталуда',
    identifying: 'анықталуда',
    enrolling: 'есеп',
    clock: 'сағат',
    listing: 'тізім',
    pulling: 'көшірілуде',
    removing: 'жойылуда',
    ready: 'дайын',
    refused: 'бас тартылды',
    attention: 'назар',
    quarantined: 'оқшауланды',
    paused: 'кідіріс',
  },
  levels: { ok: 'дұрыс', warning: 'назар', critical: 'шұғыл' },
  enrolments: { enrolled: 'есепте', retired: 'шығарылған', refused: 'бас тартылды', unknown: 'белгісіз' },
  outcomes: {
    complete: 'аяқталды',
    interrupted: 'үзілді',
    refused: 'бас тартылды',
    attention: 'назар',
    running: 'жүріп жатыр',
  },

  station: ({ name, post, department, version, since }) =>
    `${name} станциясы, ${post} бекеті, ${department} департаменті (агент ${version}, ${since} бастап)`,
  allBaysWell: 'Барлық ұя дұрыс.',
  lookAtBay: ({ bays, why }) => `Мына ұяны қараңыз: ${bays}, ${why}`,
  whatToDo: ({ nextStep }) => `Не істеу керек: ${nextStep}`,
  vaultProblem: ({ meaning, code }) => `Қойма: ${meaning} [${code}]`,
  clocksWait: 'Станция сағаты үндестірілгенше бейнетіркеуіштердің сағаты қойылмайды: chronyc tracking',
  recordingsLine: ({ stored, quarantined, free, folder }) =>
    `Жазбалар     ${stored} сақталған, ${quarantined} оқшауланған, ${free} бос, ${folder}`,
  unknownRoom: 'белгісіз орын',
  clockLine: ({ evidence }) => `Сағат        бейнетіркеуіштерге жарайды: ${evidence}`,
  clockBadLine: ({ evidence }) => `Сағат        бейнетіркеуіштерге ҚОЙЫЛМАЙДЫ: ${evidence}`,
  brokerLine: ({ url, version, count }) =>
    `Брокер       ${url}, байланыста (MQTT ${version}), ${count} оқиға кезекте`,
  brokerAwayLine: ({ url, why, count }) =>
    `Брокер       ${url}, байланыс жоқ: ${why}, ${count} оқиға кезекте`,
  notYet: 'әлі жоқ',

  noBays: 'Ұялар бапталмаған. [[bay]] бөлімдерін қосыңыз: dockctl config explain',
  bayHead: ['ҰЯ', 'БЕЙНЕТІРКЕУІШ', 'КҮЙІ', 'ЖАЗБАЛАР', 'КӨШІРІЛДІ', 'ЖЫЛДАМДЫҒЫ', ''],
  pulled: ({ done, planned }) => `${planned} ішінен ${done}`,
  perSecond: ({ rate }) => `${rate}/с`,
  identify: 'КӨРСЕТУ',

  noCameras: 'Мұнда әлі бірде-бір бейнетіркеуіш көрінбеген.',
  cameraHead: [
    'БЕЙНЕТІРКЕУІШ',
    'ЕСЕП',
    'КІЛТ',
    'ҰЯ',
    'МОДЕЛІ',
    'БАТАРЕЯ',
    'САҒАТЫ БОЛҒАН',
    'САҒАТЫ ҚАЗІР',
    'АУЫТҚУЫ',
    'ЖАЗБАЛАР',
    'СОҢҒЫ РЕТ',
  ],

  noRecordings: 'Сақталған жазба жоқ.',
  recordingHead: ['БЕЙНЕТІРКЕУІШ', 'ОНДАҒЫ ЖОЛЫ', 'КӨЛЕМІ', 'ТҮРІ', 'САҚТАЛДЫ (UTC)', 'ОНДА ӘЛІ БАР', 'ФАЙЛ'],
  kinds: { video: 'бейне', audio: 'дыбыс', photo: 'сурет', other: 'басқа' },
  isProtected: 'қорғалған',
  filesIn: ({ folder }) => `Файлдар мына жерде: ${folder}`,

  sessionHead: [
    'БАСЫ',
    'ҰЯ',
    'БЕЙНЕТІРКЕУІШ',
    'НӘТИЖЕ',
    'ТІЗІМДЕ',
    'САҚТАЛДЫ',
    'БОЛҒАН',
    'ОҚШАУЛАНДЫ',
    'БАС ТАРТЫЛДЫ',
    'ҚАЛДЫ',
    'КОД',
  ],

  noFaults: 'Бірде-бір ұя мен бейнетіркеуіш істен шықпаған.',
  faultHead: ['ҰЯ', 'БЕЙНЕТІРКЕУІШ', 'КОД', 'РЕТ', 'СОҢҒЫСЫ (UTC)'],
  bayToBlame: ({ bay, cameras }) =>
    `Кінәлі ұя: ${bay}. ${cameras} мұнда істемеді, басқа ұяларда жақсы істеді.`,
  cameraToBlame: ({ camera, bays }) =>
    `Кінәлі бейнетіркеуіш: ${camera}. Басқалары жақсы істеген ұяларда істемеді: ${bays}.`,
  didNotSay: '(атын айтпады)',
  cannotTell:
    'Ұя ма, бейнетіркеуіш пе кінәлі екені әзірге белгісіз: бейнетіркеуішті басқа ұяға салып көріңіз.',

  verifying: ({ done, total }) => `${total} жазбаның ${done} жазбасы`,
  verified: ({ checked, size, intact, damaged, missing }) =>
    `${checked} жазба оқылды (${size}): ${intact} бүтін, ${damaged} бүлінген, ${missing} жоқ`,

  begun: ({ bays }) => `Басталды: ұя ${bays}. dockctl bays қараңыз.`,
  paused: ({ bays, until }) => `${until} дейін кідіртілді: ұя ${bays}.`,
  resumed: ({ bays }) => `Жалғасты: ұя ${bays}.`,
  nonePaused: 'Бірде-бір ұя кідіртілмеген еді.',
  shown: ({ bays, until }) => `${until} дейін көрсетіледі: ұя ${bays}.`,
};

const eventForms = { one: 'событие', few: 'события', other: 'событий' };

export const stationWords: Words<typeof english> = { kk: kazakh, ru: russian, en: english };
