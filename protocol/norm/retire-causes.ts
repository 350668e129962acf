/** Why a set no longer counts against the quota. */
export const retireCauses = ['lost', 'broken', 'end-of-service-life', 'transferred'] as const;
export type RetireCause = (typeof retireCauses)[number];
