import { base64url, hex } from '../core/bytes.ts';
import { Malformed, SimulatedPlatform } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { problem, problemOf, readBody } from '../core/problem.ts';
import type { v } from '../core/schema.ts';
import { check } from '../core/schema.ts';
import { makeCredential } from '../tpm/index.ts';
import { ekPublicOf } from './ek-public.ts';
import { EnrolmentRefused } from './errors.ts';
import type { Challenge, CredentialsMessage, RenewalChallenge, VoucherAnswer } from './messages.ts';
import {
  activateSchema,
  beginSchema,
  challengeRequestSchema,
  LIMITS,
  PATHS,
  renewSchema,
  voucherRequestSchema,
} from './messages.ts';
import { refuse, formed as refusing } from './refuse.ts';
import { activate } from './registrar-activate.ts';
import { identify, keyDigest } from './registrar-begin.ts';
import { enrolState, putChallenge, renewState, takeChallenge } from './registrar-challenge.ts';
import type { RegistrarOptions } from './registrar-options.ts';
import { enrolled, renew } from './registrar-renew.ts';

/**
 * The registrar (RFC 8995) and agent credential authority: from IDevID to LDevID to short-lived credentials.
 * Each function takes the JSON of one message, whatever it is, and throws {@link EnrolmentRefused} naming the check.
 */
export interface Registrar {
  /** Message 0. The device has not authenticated us yet, nor we it. */
  voucher(body: unknown): Promise<VoucherAnswer>;
  /** Message 1: what the device is. */
  begin(body: unknown): Promise<Challenge>;
  /** Message 2: the proof. */
  activate(body: unknown): Promise<CredentialsMessage>;
  /** First half of a renewal. */
  challenge(body: unknown): Promise<RenewalChallenge>;
  /** Second half. */
  renew(body: unknown): Promise<CredentialsMessage>;
  /** Revokes a device: it never renews again. False when there is none. */
  revoke(agentId: string, cause: string): Promise<boolean>;
  /** All messages over HTTP (`PATHS`). */
  handle(request: Request): Promise<Response>;
}

/** A registrar; server side. @throws {SimulatedPlatform} on a made-up platform that is not for simulation. */
export function createRegistrar(options: RegistrarOptions): Registrar {
  const { platform, store, verifier } = options;
  if (platform.simulated && options.simulation !== true)
    throw new SimulatedPlatform('a registrar that is not for simulation needs a real platform');
  const fresh = () => platform.random.bytes(32);

  const voucher: Registrar['voucher'] = async (body) => {
    const request = formed(voucherRequestSchema, body, 'voucher request')['ietf-voucher-request:voucher'];
    const serial = request['serial-number'];
    const jws = await options.voucherFor({
      serial,
      idevidIssuer: request['idevid-issuer'],
      nonce: request.nonce,
    });
    if (jws === undefined) return refuse('voucher', 'the maker gave no voucher for this device');
    return { voucher: jws };
  };

  const begin: Registrar['begin'] = async (body) => {
    const request = formed(beginSchema, body, 'enrolment request');
    const device = await identify(options, request);
    const agentId = device.binding.agent;
    if ((await store.device(agentId))?.status === 'revoked') refuse('revoked', 'its owner revoked it');
    const nonce = fresh();
    const activationSecret = fresh();
    const { credentialBlob, secret } = makeCredential({
      ek: refusing('ek-profile', () => ekPublicOf(device.ekCertificate)),
      name: device.iak.name,
      secret: activationSecret,
      random: platform.random,
    });
    const id = await putChallenge(options, {
      kind: 'enrol',
      nonce: base64url(nonce),
      agentId,
      activationSecret: base64url(activationSecret),
      csr: request.csr,
      maker: device.maker.name,
      model: device.model,
      serial: device.serial,
      ek: keyDigest(device.ekCertificate.spki),
      iak: hex(device.iak.bytes),
      idevidName: hex(device.idevid.name),
      hwSerialNum: device.hwSerialNum,
      simulated: device.simulated,
      capabilities: [...device.capabilities],
      owner: device.binding.owner,
      aibom: request.aibom,
      endorsement: request.endorsement,
    });
    return {
      challenge: id,
      nonce: base64url(nonce),
      pcrs: [...verifier.selection()],
      bank: 'sha256',
      credentialBlob: base64url(credentialBlob),
      secret: base64url(secret),
    };
  };

  const challenge: Registrar['challenge'] = async (body) => {
    const { agent } = formed(challengeRequestSchema, body, 'challenge request');
    await enrolled(options, agent);
    const nonce = base64url(fresh());
    const id = await putChallenge(options, { kind: 'renew', nonce, agentId: agent });
    return { challenge: id, nonce, pcrs: [...verifier.selection()], bank: 'sha256' };
  };

  const registrar: Registrar = {
    voucher: (body) => recorded('voucher', () => voucher(body)),
    begin: (body) => recorded('begin', () => begin(body)),
    activate: (body) =>
      recorded('enrol', async () => {
        const request = formed(activateSchema, body, 'activation');
        return await activate(options, request, await takeChallenge(options, enrolState, request.challenge));
      }),
    challenge: (body) => recorded('challenge', () => challenge(body)),
    renew: (body) =>
      recorded('renew', async () => {
        const request = formed(renewSchema, body, 'renewal');
        return await renew(options, request, await takeChallenge(options, renewState, request.challenge));
      }),
    revoke: async (agentId, cause) => {
      const done = await store.revokeDevice(agentId);
      if (done) await options.audit?.append({ kind: 'revocation', agent: agentId, action: 'revoke', cause });
      return done;
    },
    handle: (request) => handle(request),
  };

  /** Runs one message and records how it ended, before the answer leaves: no record, no credential. */
  async function recorded<T extends object>(action: string, run: () => Promise<T>): Promise<T> {
    try {
      const answer = await run();
      if ('agentId' in answer && typeof answer.agentId === 'string')
        await options.audit?.append({
          kind: 'credential',
          agent: answer.agentId,
          action,
          decision: 'permit',
        });
      return answer;
    } catch (error) {
      if (error instanceof EnrolmentRefused) {
        platform.log.info('enrolment refused', { action, check: error.check });
        await options.audit?.append({
          kind: 'credential',
          agent: 'unknown',
          action,
          decision: 'deny',
          cause: error.check,
        });
      }
      throw error;
    }
  }

  async function handle(request: Request): Promise<Response> {
    if (request.method !== 'POST') return problem(405, 'method not allowed');
    const { pathname } = new URL(request.url);
    const name = (Object.keys(PATHS) as (keyof typeof PATHS)[]).find((key) => pathname.endsWith(PATHS[key]));
    if (name === undefined) return problem(404, 'no such message');
    try {
      const body = parseJson(await readBody(request, LIMITS.request), { maxBytes: LIMITS.request });
      const answer = await registrar[name](body);
      return Response.json(answer, { headers: { 'cache-control': 'no-store' } });
    } catch (error) {
      return problemOf(error, platform.log);
    }
  }

  return registrar;
}

function formed<const S extends v.GenericSchema>(schema: S, body: unknown, what: string): v.InferOutput<S> {
  try {
    return check(schema, body, what);
  } catch (cause) {
    if (cause instanceof Malformed) refuse('request-form', cause.message, cause);
    throw cause;
  }
}
