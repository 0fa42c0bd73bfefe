import { activateCredential, createPrimary, ekTemplate, iakTemplate, openTpm } from 'fealty/tpm';
import { EVIDENCE_TYPE } from '../../../src/attestation/cmw.ts';
import { base64url, fromBase64url, utf8 } from '../../../src/core/bytes.ts';
import { parseJsonObject } from '../../../src/core/json.ts';
import { nodePlatform } from '../../../src/core/node.ts';
import { generateKey, keyFromPem } from '../../../src/core/signer.ts';
import { Lobby } from '../../../src/domains/index.ts';
import { EpochKeys, MqttLink, multicastTopic, OwnSession, seal } from '../../../src/messaging/index.ts';
import { activationProof, proveKeys } from '../../../src/provisioning/keys.ts';
import { PATHS } from '../../../src/provisioning/messages.ts';
import { SoftwareTpm } from '../../tpm/index.ts';
import { serveActor } from '../actor.ts';
import type { Loot } from './robot-loot.ts';

const platform = nodePlatform({ directory: '.' });
let link: MqttLink | undefined;
let lobby: Lobby | undefined;

/** A refusal of the registrar, with the name of the check. */
class Refused extends Error {
  readonly check: string;

  constructor(check: string, message: string) {
    super(message);
    this.check = check;
  }
}

const connected = () => {
  if (link === undefined) throw new Error('not connected');
  return link;
};

/** Somebody who copied everything of the dog that can be copied, and has a TPM, but not the dog's. */
const methods = {
  /** Sends the dog's own enrolment request, and tries to answer the challenge. */
  enrol: async ({ loot, authority }: { loot: Loot; authority: string }): Promise<{ opened: boolean }> => {
    const chip = await SoftwareTpm.create({ random: platform.random, clock: platform.clock });
    await using tpm = await openTpm({ transport: chip, random: platform.random, clock: platform.clock });
    const challenge = await post(authority, PATHS.begin, fromBase64url(loot.begin));
    const nonce = fromBase64url(String(challenge['nonce']));
    // His own TPM has keys of the same templates; the challenge is for another one.
    const ek = await createPrimary(tpm, { hierarchy: 'endorsement', template: ekTemplate });
    const ak = await createPrimary(tpm, { hierarchy: 'endorsement', template: iakTemplate() });
    const secret = await activateCredential(tpm, {
      ak,
      ek,
      challenge: {
        credentialBlob: fromBase64url(String(challenge['credentialBlob'])),
        secret: fromBase64url(String(challenge['secret'])),
      },
    }).catch(() => undefined);
    const guess = secret ?? platform.random.bytes(32);
    const invented = () => ({
      public: base64url(platform.random.bytes(96)),
      certifyInfo: base64url(platform.random.bytes(128)),
      signature: base64url(platform.random.bytes(72)),
    });
    const keys = {
      credential: generateKey(platform.random),
      tls: generateKey(platform.random),
      lobby: generateKey(platform.random),
    };
    const answer = {
      challenge: challenge['challenge'],
      activation: base64url(activationProof(guess, nonce)),
      evidence: [EVIDENCE_TYPE, base64url(platform.random.bytes(256)), 4],
      lak: invented(),
      ldevid: invented(),
      keys: proveKeys(keys, nonce),
    };
    await post(authority, PATHS.activate, utf8(JSON.stringify(answer)));
    return { opened: secret !== undefined };
  },

  /** Sends the dog's enrolment request with the voucher of another robot. */
  borrow: async ({ loot, of, authority }: { loot: Loot; of: Loot; authority: string }): Promise<void> => {
    const { voucher } = beginOf(of);
    await post(authority, PATHS.begin, utf8(JSON.stringify({ ...beginOf(loot), voucher })));
  },

  /** Sends the dog's request with the certificate of its IDevID where that of its IAK should be. */
  swap: async ({ loot, authority }: { loot: Loot; authority: string }): Promise<void> => {
    const begin = beginOf(loot);
    await post(authority, PATHS.begin, utf8(JSON.stringify({ ...begin, iakChain: begin['idevidChain'] })));
  },

  /** Connects to the broker as the dog: the stolen certificate is good until it expires. */
  connect: async ({ loot, broker }: { loot: Loot; broker: string }): Promise<void> => {
    link = await MqttLink.connect({
      platform,
      url: broker,
      tls: { chain: loot.credentials.wic, privateKeyPem: loot.tls, verifyPeer: () => {} },
      clientId: loot.credentials.slug,
    });
  },

  /** Waits in the dog's lobby with the dog's keys, and a key of his own where the dog's TPM would sign. */
  lurk: async ({ loot }: { loot: Loot }): Promise<void> => {
    lobby = await Lobby.open({
      platform,
      link: connected(),
      identity: {
        credentials: loot.credentials,
        keys: {
          credential: keyFromPem(loot.credential),
          tls: keyFromPem(loot.tls),
          lobby: keyFromPem(loot.lobby),
          ldevid: generateKey(platform.random),
        },
      },
      joinPolicy: () => ({ join: true }),
    });
    lobby.on('joined', ({ task }) => tell('joined', { task }));
    lobby.on('refused', (check) => tell('refused', { check }));
  },

  /** Speaks on the dog's stream with a session key and an epoch secret that he made up. */
  forge: async ({ loot, domain, stream }: { loot: Loot; domain: string; stream: string }): Promise<void> => {
    const topic = multicastTopic(domain, loot.credentials.slug, stream);
    const keys = EpochKeys.group({
      domain,
      epoch: 1,
      secret: platform.random.bytes(32),
      confirmation: platform.random.bytes(16),
    });
    const now = platform.clock.now();
    const message = seal({
      session: new OwnSession(loot.credentials.slug, generateKey(platform.random)),
      keys,
      topic,
      type: stream,
      ts: now,
      exp: now + 5_000,
      body: { properties: { 'lidar-clear': true } },
    });
    await connected().publish(topic, message, { qos: 1 });
  },

  /** Sends the bytes of somebody's sealed message, on its own topic or on another. */
  replay: async (copied: {
    loot: Loot;
    domain: string;
    stream: string;
    message: Uint8Array;
  }): Promise<void> => {
    const topic = multicastTopic(copied.domain, copied.loot.credentials.slug, copied.stream);
    await connected().publish(topic, copied.message, { qos: 1 });
  },

  leave: async (): Promise<void> => {
    await lobby?.close();
    await link?.close();
    lobby = undefined;
    link = undefined;
  },
};
/** What the impostor's process can be asked. */
export type ImpostorMethods = typeof methods;

function beginOf(loot: Loot): Readonly<Record<string, unknown>> {
  return parseJsonObject(fromBase64url(loot.begin), { maxBytes: 1 << 20 });
}

async function post(
  authority: string,
  path: string,
  body: Uint8Array,
): Promise<Readonly<Record<string, unknown>>> {
  const answer = await platform.network.request({
    method: 'POST',
    url: `${authority}${path}`,
    headers: { 'content-type': 'application/json' },
    body,
    tls: { verifyPeer: () => {} },
  });
  const json = parseJsonObject(answer.body, { maxBytes: 1 << 20 });
  if (answer.status !== 200) throw new Refused(String(json['check']), String(json['detail']));
  return json;
}

const { tell } = serveActor(methods, async () => {
  await methods.leave();
});
