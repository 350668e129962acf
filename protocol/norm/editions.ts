import { z } from 'zod';

/** What the norms provide for: cameras by the workers of a post, and a computer for each department. */
export const normItem = z.enum(['camera', 'computer']);
export type NormItem = z.output<typeof normItem>;

/** One row of a norm: up to `upTo` of what it is counted by, the upper bound included. */
export interface NormRow {
  /** Number of the row as counted in the table, from 1. */
  readonly row: number;
  /** Undefined in the last row: "over 400". */
  readonly upTo?: number;
  readonly sets: number;
}

export interface Norm {
  readonly citation: string;
  readonly serviceLifeYears: number;
  readonly rows: readonly NormRow[];
}

/** One edition of the norms, with what is needed to cite it. Legal data: add editions, never change one. */
export interface NormEdition {
  readonly id: string;
  /** The day from which this edition decides, YYYY-MM-DD. */
  readonly effectiveFrom: string;
  /** Item 1, by the workers of a post: one set is one recorder with its docking position. */
  readonly camera: Norm;
  /** Item 2, by the department: the personal computer onto which recordings are downloaded and on which they are kept. */
  readonly computer: Norm;
}

/**
 * The in-kind norms (заттай нормалар) for portable video recorders of the state revenue bodies.
 *
 * Each row of item 1 includes its upper bound: "up to 50", "from 50 to 100", … "from 300 to 400", "over 400" (400
 * адамнан жоғары). The last row is strictly above 400, so 400 must belong to the row before it; read the same
 * way throughout, every headcount has exactly one row, and never a larger one than under the other reading.
 *
 * The order of 2019 is here as amended on 29 September 2021, which set the norms out anew. What its table said before
 * that day is not known to us, so that nothing is explained by it. The amendment enters into force ten days after its
 * first official publication, a date its text does not give; until it is known, the day of signing stands here.
 */
export const normEditions: readonly NormEdition[] = [
  {
    id: 'order-1358-2021',
    effectiveFrom: '2021-09-29',
    camera: {
      citation:
        'Order of the First Deputy Prime Minister – Minister of Finance of the Republic of Kazakhstan No. 1358 ' +
        'of 10 December 2019 (registered 20 December 2019, No. 19747), item 1, as amended by order of the ' +
        'Minister of Finance No. 994 of 29 September 2021',
      serviceLifeYears: 7,
      rows: [
        { row: 1, upTo: 50, sets: 5 },
        { row: 2, upTo: 100, sets: 10 },
        { row: 3, upTo: 200, sets: 20 },
        { row: 4, upTo: 300, sets: 30 },
        { row: 5, upTo: 400, sets: 40 },
        { row: 6, sets: 50 },
      ],
    },
    computer: {
      citation:
        'Order of the First Deputy Prime Minister – Minister of Finance of the Republic of Kazakhstan No. 1358 ' +
        'of 10 December 2019 (registered 20 December 2019, No. 19747), item 2, as amended by order of the ' +
        'Minister of Finance No. 994 of 29 September 2021',
      serviceLifeYears: 7,
      rows: [{ row: 1, sets: 1 }],
    },
  },
];
