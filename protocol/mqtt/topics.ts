/** Where a station speaks: `dock/v1/{department}/{post}/{station}/…`. */
export interface StationAddress {
  readonly department: string;
  readonly post: string;
  readonly station: string;
}

/** What a level of a topic may be made of: no separator, no wildcard, nothing invisible. */
export const topicLevel = /^[A-Za-z0-9][A-Za-z0-9._-]{0,47}$/;

const root = 'dock/v1';

export function stationTopics({ department, post, station }: StationAddress) {
  const base = `${root}/${department}/${post}/${station}`;
  return {
    base,
    status: `${base}/status`,
    info: `${base}/info`,
    health: `${base}/health`,
    quota: `${base}/quota`,
    assignment: `${base}/assignment`,
    bay: (bay: number) => `${base}/bay/${bay}`,
    camera: (serialNumber: string) => `${base}/camera/${serialNumber}`,
    alarm: (code: string) => `${base}/alarm/${code}`,
    event: (type: string) => `${base}/event/${type}`,
    command: (name: string) => `${base}/cmd/${name}`,
    response: (name: string) => `${base}/rsp/${name}`,
  };
}

export type StationTopics = ReturnType<typeof stationTopics>;

/** A topic of this tree taken apart: `channel` is the fixed level, `name` what follows it, empty where nothing does. */
export interface ParsedTopic extends StationAddress {
  readonly channel: string;
  readonly name: string;
}

/** Takes a topic apart; undefined for one that is not of this tree. */
export function parseTopic(topic: string): ParsedTopic | undefined {
  const levels = topic.split('/');
  const [tree, version, department, post, station, channel, name = ''] = levels;
  if (`${tree}/${version}` !== root || levels.length > 7) return undefined;
  if (![department, post, station].every((level) => level !== undefined && topicLevel.test(level)))
    return undefined;
  if (department === undefined || post === undefined || station === undefined || !channel) return undefined;
  return { department, post, station, channel, name };
}
