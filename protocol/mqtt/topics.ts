/** Where a station speaks: `dock/v1/{department}/{post}/{station}/…`. */
export interface StationAddress {
  readonly department: string;
  readonly post: string;
  readonly station: string;
}

/** What a level of a topic may be made of: no separator, no wildcard, nothing invisible. */
export const topicLevel = /^[A-Za-z0-9][A-Za-z0-9._-]{0,47}$/;

export function stationTopics({ department, post, station }: StationAddress) {
  const base = `dock/v1/${department}/${post}/${station}`;
  return {
    base,
    status: `${base}/status`,
    quota: `${base}/quota`,
    bay: (bay: number) => `${base}/bay/${bay}`,
    camera: (serialNumber: string) => `${base}/camera/${serialNumber}`,
    event: (type: string) => `${base}/event/${type}`,
  };
}

export type StationTopics = ReturnType<typeof stationTopics>;
