/** A seed that found a bug of the agent, and what it was. */
export interface NamedSeed {
  readonly seed: number;
  readonly bug: string;
}

export const namedSeeds: readonly NamedSeed[] = [
  {
    seed: 48,
    bug: 'a stored file that failed to be read and then to be closed was reported as a bug of the agent',
  },
  { seed: 386, bug: 'the same while a copy was verified for a removal' },
  {
    seed: 47,
    bug: 'a recording with the name, size and time of a stored one was never stored where the camera computes digests',
  },
  { seed: 66, bug: 'the same after other faults' },
  {
    seed: 1076263678,
    bug: 'a camera without digests kept for ever what had the name, size and time of a stored recording whose copy rotted',
  },
  {
    seed: 1076262145,
    bug: 'who watches a slow disk waited for a time too short for the clock to move, again and again',
  },
  {
    seed: 419,
    bug: 'where nothing is removed, a recording with the name, size and time of a stored one counted as held and was never stored',
  },
  {
    seed: 1504330667,
    bug: 'where an earlier session had left a file that was linked and not catalogued, another recording of its name counted as stored and was not pulled',
  },
  {
    seed: 328561803,
    bug: 'a disk that failed while the vault was brought in order kept every bay waiting for the next start of the agent',
  },
  {
    seed: 1146774794,
    bug: 'a held recording whose copy rotted was counted as held and as quarantined when the database failed in between',
  },
  {
    seed: 1146772361,
    bug: 'a camera was set to a time before 1970 by a clock that was vouched for, and could not be read any more',
  },
  { seed: 2075885476, bug: 'such a one that could not be pulled was taken out of the held ones twice' },
];
