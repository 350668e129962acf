import type { Reporter } from '../report/reporter.ts';
import type { BayBoard } from '../session/bay-board.ts';

/** The station in one line, for `systemctl status`: `3 bays: 2 ready, 1 pulling; broker connected`. */
export function stationStatusLine(
  board: BayBoard,
  broker: Reporter['state'],
  { isSlow }: { isSlow: boolean },
): string {
  const bays = board.all();
  const phases = Object.entries(Object.groupBy(bays, ({ phase }) => phase)).map(
    ([phase, group]) => `${group.length} ${phase}`,
  );
  const told = bays.length === 0 ? 'no bays are configured' : `${bays.length} bays: ${phases.join(', ')}`;
  const disk = isSlow ? 'the disk of the vault does not answer; ' : '';
  return `${disk}${told}; broker ${broker.isConnected ? 'connected' : 'not connected'}`;
}
