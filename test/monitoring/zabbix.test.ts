// The template with Debian's agent 2: what Zabbix would be told of a real station, and what it would make of it.
import { existsSync } from 'node:fs';
import mqtt from 'mqtt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Mosquitto } from '../mosquitto/mosquitto.ts';
import { until } from '../report/monitor.ts';
import { MonitoredStation } from './monitored-station.ts';
import { hasMosquitto } from './mosquitto-clients.ts';
import { PasswordListener } from './password-listener.ts';
import { ZabbixAgent } from './zabbix-agent.ts';
import { discovered, fits, preprocess } from './zabbix-preprocessing.ts';
import { ZabbixServer } from './zabbix-server.ts';
import { defaultMacros, expand, zabbixTemplate, type Item, type Macros } from './zabbix-template.ts';

const isThere = existsSync('/usr/sbin/zabbix_agent2') && hasMosquitto;
/** As the page for the control room says. */
const hearsBroker = (acl: string): string =>
  acl.replace('user monitoring\n', 'user monitoring\ntopic read $SYS/broker/uptime\n');
const template = zabbixTemplate();
const place = { '{#DEPARTMENT}': 'almaty', '{#POST}': 'khorgos' };
const at = { ...place, '{#STATION}': 'dock-1' };
const cameras = ['BC-1', 'BC-2', 'BC-3'];
/** What the last of the cameras makes: it states digests that are wrong. */
const alarm = { ...at, '{#CODE}': 'recording.digest-mismatch' };

let listener: PasswordListener;
let broker: Mosquitto;
let station: MonitoredStation;
let server: ZabbixServer;
/** Those of the template, with the address of this broker. */
let macros: Macros;

describe.skipIf(!isThere)('Zabbix agent 2', () => {
  beforeAll(async () => {
    listener = await PasswordListener.prepare();
    broker = await Mosquitto.start({
      names: ['almaty/khorgos/dock-1'],
      conf: listener.conf,
      acl: hearsBroker,
    });
    macros = {
      ...defaultMacros(template),
      '{$MQTT.BROKER}': `tcp://127.0.0.1:${listener.port}`,
      '{$MQTT.BROKER.DISCOVERY}': `tcp://localhost:${listener.port}`,
      '{$MQTT.USER}': listener.user,
      '{$MQTT.PASSWORD}': listener.password,
    };
    server = await ZabbixServer.start();
    const address = { department: 'almaty', post: 'khorgos', station: 'dock-1' };
    station = new MonitoredStation(broker, address, cameras.length);
    for (const [index, serialNumber] of cameras.entries())
      station.plug(index + 1, serialNumber, index === 2 ? { wrongDigest: true } : {});
  });
  afterAll(async () => {
    await station[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    await broker[Symbol.asyncDispose]();
    listener[Symbol.dispose]();
  });

  test('the rules find everything, and each item gets a value that Zabbix takes', async () => {
    const found = await discover();
    expect(found.get('dock.station.discovery')).toEqual([at]);
    expect(found.get('dock.post.discovery')).toEqual([place]);
    expect(found.get('dock.bay.discovery')).toEqual(['1', '2', '3'].map((bay) => ({ ...at, '{#BAY}': bay })));
    const serials = found.get('dock.camera.discovery')?.map((row) => row['{#SERIAL}']);
    expect(serials?.toSorted()).toEqual(cameras);
    expect(found.get('dock.alarm.discovery')).toContainEqual(alarm);

    const all = [
      ...listened(template.items, {}),
      ...template.discovery_rules.flatMap(({ key, item_prototypes }) =>
        (found.get(key) ?? []).flatMap((row) => listened(item_prototypes, row)),
      ),
    ];
    await using _ = await ask(all.map(({ key }) => key));
    await until('a value of each key', () => all.every(({ key }) => server.of(key).length > 0));
    expect(server.values.filter(({ isSupported }) => !isSupported)).toEqual([]);
    const problems = all.flatMap(({ key, item, dependents }) =>
      server.of(key).flatMap(({ value }) => problemsOf(value, item, dependents)),
    );
    expect(problems).toEqual([]);
  });

  test('an alarm that is over is heard as an empty value, and has no level', async () => {
    const rule = template.discovery_rules.find(({ key }) => key === 'dock.alarm.discovery');
    const [document] = listened(rule?.item_prototypes ?? [], alarm);
    const level = document?.dependents.find(({ key }) => key.startsWith('dock.alarm.level'));
    if (!document || level?.type !== 'DEPENDENT') throw new Error('no level');
    const levels = () => server.of(document.key).map(({ value }) => preprocess(value, level.preprocessing));
    await using _ = await ask([document.key]);
    await until('the alarm is heard', () => levels().length > 0);
    expect(levels()).toEqual([{ kind: 'value', value: '1' }]);

    const client = await mqtt.connectAsync(broker.url, broker.credentials('almaty-khorgos-dock-1'));
    const topic = 'dock/v1/almaty/khorgos/dock-1/alarm/recording.digest-mismatch';
    await client.publishAsync(topic, '', { retain: true });
    await client.endAsync();
    await until('its end is heard', () => levels().length > 1);
    expect(levels().at(-1)).toEqual({ kind: 'value', value: '0' });
  });
});

/** A fresh agent that is to check these keys: it hears what is retained anew. */
async function ask(keys: readonly string[]): Promise<ZabbixAgent> {
  server.keys = keys;
  server.values.length = 0;
  return ZabbixAgent.start(server.port);
}

/** What each rule finds, by its key. */
async function discover(): Promise<Map<string, Macros[]>> {
  const rows = (): Map<string, Macros[]> =>
    new Map(
      template.discovery_rules.map((rule) => {
        const values = server.of(expand(rule.master_item.key, macros));
        const found = values.flatMap(({ value }) => discovered(rule, value, macros));
        return [rule.key, [...new Map(found.map((row) => [JSON.stringify(row), row])).values()]];
      }),
    );
  await using _ = await ask(listened(template.items, {}).map(({ key }) => key));
  const isWhole = (found: Map<string, Macros[]>): boolean =>
    found.get('dock.camera.discovery')?.length === cameras.length &&
    [...found.values()].every((all) => all.length > 0) &&
    found.get('dock.alarm.discovery')?.some((row) => row['{#CODE}'] === alarm['{#CODE}']) === true;
  return await until('everything is discovered', () => {
    const found = rows();
    return isWhole(found) && found;
  });
}

interface Listened {
  readonly key: string;
  readonly item: Item;
  readonly dependents: readonly Item[];
}

/** What the agent is asked for, and what depends on it. */
function listened(items: readonly Item[], found: Macros): Listened[] {
  return items
    .filter(({ type }) => type === 'ZABBIX_ACTIVE')
    .map((item) => ({
      key: expand(item.key, { ...macros, ...found }),
      item,
      dependents: items.filter((other) => other.type === 'DEPENDENT' && other.master_item.key === item.key),
    }));
}

/** Why Zabbix would not take a value and what follows from it; what the document does not say is dropped rightly. */
function problemsOf(raw: string, item: Item, dependents: readonly Item[]): string[] {
  const document = preprocess(raw, stepsOf(item));
  if (document.kind !== 'value') return [`${item.key}: ${JSON.stringify(document)}`];
  return dependents.flatMap((dependent) => {
    const taken = preprocess(document.value, stepsOf(dependent));
    if (taken.kind === 'failed') return [`${dependent.key}: ${taken.problem}`];
    const isTaken = taken.kind === 'discarded' || fits(taken.value, dependent);
    return isTaken ? [] : [`${dependent.key}: ${taken.value} does not fit`];
  });
}

function stepsOf(item: Item) {
  return item.type === 'CALCULATED' ? [] : (item.preprocessing ?? []);
}
