/** One row of the norm: posts with a headcount up to `upToHeadcount`, the upper bound included. */
export interface NormRow {
  /** Number of the row as counted in the table, from 1. */
  readonly row: number;
  /** Undefined in the last row: "over 400". */
  readonly upToHeadcount?: number;
  readonly sets: number;
}

/** One edition of the norms, with what is needed to cite it. Legal data: add editions, never change one. */
export interface NormEdition {
  readonly id: string;
  readonly citation: string;
  /** The day from which this edition decides, YYYY-MM-DD. */
  readonly effectiveFrom: string;
  readonly serviceLifeYears: number;
  readonly rows: readonly NormRow[];
}

/**
 * The in-kind norms (заттай нормалар) for portable video recorders of the state revenue bodies, item 1: one
 * set is one recorder with its docking position.
 *
 * Each row includes its upper bound: "up to 50", "from 50 to 100", … "from 300 to 400", "over 400" (400
 * адамнан жоғары). The last row is strictly above 400, so 400 must belong to the row before it; read the same
 * way throughout, every headcount has exactly one row, and never a larger one than under the other reading.
 *
 * The order enters into force ten days after its first official publication, a date its text does not
 * give; until it is known, the day of signing stands here.
 */
export const normEditions: readonly NormEdition[] = [
  {
    id: 'order-1358-2021',
    citation:
      'Order of the First Deputy Prime Minister – Minister of Finance of the Republic of Kazakhstan No. 1358 ' +
      'of 10 December 2019 (registered 20 December 2019, No. 19747), item 1, as amended by order of the ' +
      'Minister of Finance No. 994 of 29 September 2021',
    effectiveFrom: '2021-09-29',
    serviceLifeYears: 7,
    rows: [
      { row: 1, upToHeadcount: 50, sets: 5 },
      { row: 2, upToHeadcount: 100, sets: 10 },
      { row: 3, upToHeadcount: 200, sets: 20 },
      { row: 4, upToHeadcount: 300, sets: 30 },
      { row: 5, upToHeadcount: 400, sets: 40 },
      { row: 6, sets: 50 },
    ],
  },
];
