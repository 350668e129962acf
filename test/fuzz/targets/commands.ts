import { commandResponse, commands } from '../../../protocol/mqtt/commands.ts';
import { maxPayloadBytes } from '../../../protocol/mqtt/head.ts';
import { QuickDesk } from '../../support/quick-desk.ts';
import { bytesOfText, chosen, expectThat, utf8, type FuzzTarget } from '../target.ts';

const requestedAt = Date.UTC(2026, 10, 23);
let desk: QuickDesk | undefined;

export const commandTargets: readonly FuzzTarget[] = [
  {
    name: 'mqtt-commands',
    story:
      'a message to cmd/…: one answer by the contract, below the answers of the station, and the next is served',
    seeds: bytesOfText(
      ...Object.keys(commands).map(
        (name, index) =>
          `${String.fromCharCode(index)}{"v":1,"id":"request-${index}","ts":"${new Date(requestedAt).toISOString()}","by":"x","expiresSeconds":3600,"args":{"bay":1,"serialNumber":"BC-1","cause":"lost","fromSeq":1,"uptoSeq":1,"assignment":"${name}"}}`,
      ),
    ),
    words: [
      '"args":',
      '"id":',
      '__proto__',
      'constructor',
      '/',
      '#',
      '+',
      '1e400',
      '\\u0000',
      'expiresSeconds',
    ],
    async run(input) {
      desk ??= new QuickDesk({ now: () => requestedAt });
      // Else all that kept the id of its seed would be a repeat.
      desk.db.run('DELETE FROM command');
      const { choice, rest } = chosen(
        [...Object.keys(commands), 'constructor', '+', '', 'a/b', '\u0000'],
        input,
      );
      if (rest.length === 0) return; // clears a retained one
      const { topics, payload } = await desk.answer(choice, rest);
      expectThat(commandResponse.safeParse(JSON.parse(payload)).success, `answers ${payload.slice(0, 200)}`);
      expectThat(Buffer.byteLength(payload) <= maxPayloadBytes, 'answers too much');
      expectThat(
        topics.length === 1 && /^dock\/v1\/d\/p\/s\/rsp\/[a-z-]+$/.test(topics[0] ?? ''),
        `answers on ${topics.join()}`,
      );
    },
  },
  {
    name: 'mqtt-response-topic',
    story: 'where a sender wants its answer: published to nothing but names below the answers of the station',
    seeds: bytesOfText('dock/v1/d/p/s/rsp/pull/console-1', 'dock/v1/d/p/s/rsp/x', 'dock/v1/d/p/s/status', ''),
    words: ['dock/v1/d/p/s/rsp/', '/', '#', '+', '$share/', '\u0000', '\u0007', '\ufffe', '\u202e', '\ud800'],
    async run(input) {
      desk ??= new QuickDesk({ now: () => requestedAt });
      const properties = { responseTopic: utf8(input), correlationData: input };
      const { topics } = await desk.answer('pull', desk.request('a-request'), properties);
      for (const topic of topics)
        expectThat(/^dock\/v1\/d\/p\/s\/rsp\/[^+#\p{C}]*$/u.test(topic), `answers on ${topic}`);
    },
  },
];
