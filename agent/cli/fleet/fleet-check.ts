import type { CommandName } from '../../../protocol/mqtt/commands.ts';
import type { StationAddress } from '../../../protocol/mqtt/topics.ts';
import type { Gap } from './event-sequence.ts';
import { FleetModel, type FleetMessage, type Station } from './fleet-model.ts';

/** What is to be asked of a station now. */
export interface DueRequest {
  readonly station: Station;
  readonly name: Extract<CommandName, 'replay' | 'acknowledge'>;
  readonly args: { readonly fromSeq: number; readonly limit: number } | { readonly uptoSeq: number };
}

export interface CheckReport {
  readonly from: string;
  readonly to: string;
  /** Since when all stations that were heard speak: what one recorded before its first word may have come before us. */
  readonly wholeFrom: string;
  readonly stations: number;
  /** Of which nothing came but what the broker keeps. */
  readonly silent: number;
  /** Different ones. */
  readonly events: number;
  readonly repeated: number;
  /** Came after a later one, without having been asked for. */
  readonly outOfOrder: number;
  readonly filledByReplay: number;
  readonly gaps: readonly (StationAddress & Gap)[];
  /** Gaps beyond what is kept of each station. */
  readonly furtherGaps: number;
  /** Recorded by what the station says, and not heard. */
  readonly notArrived: readonly (StationAddress & {
    heardUpTo: number;
    recordedUpTo: number;
    waiting: number;
  })[];
  /** Two events under one number, or a sequence that began again. */
  readonly broken: readonly (StationAddress & { conflicts: number; restarts: number })[];
  readonly requests: Readonly<Record<'replay' | 'acknowledge', RequestCounts>>;
  readonly refusals: readonly string[];
  readonly rejected: FleetModel['rejected'];
  readonly isProven: boolean;
}

export interface RequestCounts {
  sent: number;
  done: number;
  refused: number;
}

/** At the end, for what was recorded and asked for last. */
export const arrivalMs = 30_000;
const replayAfterMs = 5000;
const askAgainMs = 20_000;
const shownRefusals = 20;
const longestReplay = 1_000_000;

/** Whether every event of every station heard came, from messages and the time alone. */
export class FleetCheck {
  readonly model = new FleetModel({ rememberedEvents: 128 });
  events = 0;
  readonly #startedAt: number;
  readonly #wants: { readonly replay: boolean; readonly acknowledge: boolean };
  #outOfOrder = 0;
  #filledByReplay = 0;
  readonly #accounts = new Map<Station, Account>();
  readonly #open = new Map<string, { name: DueRequest['name']; station: Station; uptoSeq: number }>();
  readonly #requests = {
    replay: { sent: 0, done: 0, refused: 0 },
    acknowledge: { sent: 0, done: 0, refused: 0 },
  };
  readonly #refusals: string[] = [];

  constructor(startedAt: number, wants: { replay: boolean; acknowledge: boolean }) {
    this.#startedAt = startedAt;
    this.#wants = wants;
  }

  accept(message: FleetMessage, at: number): void {
    const change = this.model.accept(message, at);
    if (change?.kind === 'event') {
      const { heard, station } = change;
      if (['first', 'next', 'gap', 'filled', 'restarted'].includes(heard)) this.events += 1;
      if (heard === 'filled') {
        if (this.#account(station).hasAskedReplay) this.#filledByReplay += 1;
        else this.#outOfOrder += 1;
      }
    } else if (change?.kind === 'response') {
      const { id, status, error } = change.response;
      const request = this.#open.get(id);
      if (!request || request.station !== change.station) return;
      this.#open.delete(id);
      const counts = this.#requests[request.name];
      if (status === 'ok') {
        counts.done += 1;
        if (request.name === 'acknowledge') this.#account(request.station).acknowledged = request.uptoSeq;
      } else {
        counts.refused += 1;
        const { department, post, station } = request.station.address;
        if (this.#refusals.length < shownRefusals) {
          this.#refusals.push(`${department}/${post}/${station} ${request.name}: ${error?.code ?? 'error'}`);
        }
      }
    }
  }

  /** To be called now and then: what was waited for, and what is to be asked, at most `limit` of it. */
  due(now: number, limit: number): DueRequest[] {
    const due: DueRequest[] = [];
    for (const station of this.model.stations.values()) {
      const account = this.#account(station);
      const { gaps, lostGaps, wholeUpTo } = station.events;
      account.gapSince = gaps.length === 0 ? undefined : (account.gapSince ?? now);
      if (due.length >= limit || now - account.askedAt < askAgainMs) continue;
      const [gap] = gaps;
      const isOld = account.gapSince !== undefined && now - account.gapSince >= replayAfterMs;
      if (this.#wants.replay && gap && isOld) {
        const fromSeq = gap.after + 1;
        const limit = Math.min(longestReplay, (gaps.at(-1)?.upTo ?? gap.upTo) - gap.after);
        due.push({ station, name: 'replay', args: { fromSeq, limit } });
        account.hasAskedReplay = true;
        account.askedAt = now;
      } else if (this.#wants.acknowledge && lostGaps === 0 && wholeUpTo > account.acknowledged) {
        due.push({ station, name: 'acknowledge', args: { uptoSeq: wholeUpTo } });
        account.askedAt = now;
      }
    }
    return due;
  }

  /** What was asked is on its way under this id. */
  asked(id: string, { name, station, args }: DueRequest): void {
    this.#requests[name].sent += 1;
    const account = this.#account(station);
    // What was not answered until it is asked again will not be.
    if (account.openId !== undefined) this.#open.delete(account.openId);
    account.openId = id;
    this.#open.set(id, { name, station, uptoSeq: 'uptoSeq' in args ? args.uptoSeq : 0 });
  }

  /** An answer, or something that a station said it recorded, is still on its way. */
  get isAwaiting(): boolean {
    if (this.#open.size > 0) return true;
    return [...this.model.stations.values()].some((station) => awaitedSeq(station) !== undefined);
  }

  report(now: number): CheckReport {
    const stations = [...this.model.stations.values()];
    const gaps = stations.flatMap(({ address, events }) =>
      events.gaps.map((gap) => ({ ...address, ...gap })),
    );
    const furtherGaps = stations.reduce((sum, { events }) => sum + events.lostGaps, 0);
    const broken = stations.flatMap(({ address, events: { counts } }) =>
      counts.conflict + counts.restarted === 0
        ? []
        : [{ ...address, conflicts: counts.conflict, restarts: counts.restarted }],
    );
    const notArrived = stations.flatMap((station) => {
      const awaited = awaitedSeq(station);
      if (awaited === undefined) return [];
      const { address, events, health } = station;
      const waiting = health?.waitingEvents ?? 0;
      return [{ ...address, heardUpTo: events.last, recordedUpTo: awaited, waiting }];
    });
    const begins = stations.flatMap(({ liveAt }) => liveAt ?? []);
    const { sent, done } = this.#requests.acknowledge;
    return {
      from: new Date(this.#startedAt).toISOString(),
      to: new Date(now).toISOString(),
      wholeFrom: new Date(Math.max(this.#startedAt, ...begins)).toISOString(),
      stations: stations.length,
      silent: stations.length - begins.length,
      events: this.events,
      repeated: stations.reduce((sum, { events }) => sum + events.counts.repeated, 0),
      outOfOrder: this.#outOfOrder,
      filledByReplay: this.#filledByReplay,
      gaps,
      furtherGaps,
      notArrived,
      broken,
      requests: structuredClone(this.#requests),
      refusals: [...this.#refusals],
      rejected: { ...this.model.rejected },
      isProven:
        this.events > 0 &&
        gaps.length + furtherGaps + notArrived.length + broken.length + this.#outOfOrder === 0 &&
        (!this.#wants.acknowledge || (sent > 0 && sent === done)),
    };
  }

  #account(station: Station): Account {
    const known = this.#accounts.get(station);
    if (known) return known;
    const fresh: Account = {
      openId: undefined,
      gapSince: undefined,
      askedAt: -Infinity,
      hasAskedReplay: false,
      acknowledged: 0,
    };
    this.#accounts.set(station, fresh);
    return fresh;
  }
}

/**
 * The number of an event that has to come: only what a live message claims must, since what was recorded before we
 * listened may have come before.
 */
function awaitedSeq({ claims, events }: Station): number | undefined {
  return claims && claims.last > Math.max(events.last, claims.first) ? claims.last : undefined;
}

interface Account {
  openId: string | undefined;
  gapSince: number | undefined;
  askedAt: number;
  hasAskedReplay: boolean;
  acknowledged: number;
}
