import { resolve } from 'node:path';
import { nodePlatform } from '../core/node.ts';
import { startOwnerBroker } from '../hub/owner-broker.ts';
import { readBrokerPapers } from './broker-folder.ts';
import type { Command } from './command.ts';
import { flag, need, text, whole } from './command.ts';
import { ended, lines } from './lines.ts';

/** `fealty broker serve`. */
export const brokerServe: Command = {
  about:
    'Runs the embedded MQTT broker of an owner (TLS 1.3, client certificates). Only agents of the owner’s trust domain may connect, each\n' +
    'under its own name; a task domain’s topics exist from the group grant that opens them until it ends. It carries sealed messages and\n' +
    'is trusted with nothing else. The papers come from `fealty authority serve`, are good for 90 days and are read at start. Ctrl-C ends it.',
  options: {
    papers: {
      type: 'string',
      value: 'DIR',
      describe: 'papers that the authority wrote (server.pem, server.key, bundle.json)',
    },
    host: { type: 'string', value: 'ADDRESS', describe: 'address it listens on (default: 127.0.0.1)' },
    port: { type: 'string', value: 'N', describe: 'port it listens on (default: 8883; 0: a free one)' },
  },
  examples: [
    ['broker serve --papers ./authority/broker', 'on loopback'],
    ['broker serve --papers ./broker --host 0.0.0.0 --json', 'for others; log lines as JSON'],
  ],
  run: async (input, io) => {
    const directory = resolve(need(input, 'papers'));
    const { tls, bundle } = await readBrokerPapers(directory);
    const plain = nodePlatform({ directory });
    const { tell, log } = lines(io, plain.clock, flag(input, 'json'));
    const host = text(input, 'host') ?? '127.0.0.1';
    const broker = await startOwnerBroker({
      platform: { ...plain, log },
      bundle,
      tls,
      host,
      port: whole(input, 'port', { min: 0, max: 65_535 }) ?? 8883,
    });
    try {
      broker.on('refused', (slug, what, detail) => tell('warn', 'refused', { slug, what, detail }));
      tell('info', 'broker serves', {
        url: `mqtts://${host}:${broker.port}`,
        trustDomain: bundle.trustDomain,
      });
      await ended(io.signal);
    } finally {
      await broker.close();
      tell('info', 'broker ended');
    }
    return 0;
  },
};
