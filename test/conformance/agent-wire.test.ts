import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { twin as robotDog } from '../../devices/robot-dog/twin.ts';
import { simulatedPlatform } from '../../simulator/platform.ts';
import { answerAsks, askFor } from '../../src/agent/asking.ts';
import type { ControlHandlers } from '../../src/agent/control.ts';
import { askControl, serveControl } from '../../src/agent/control.ts';
import { NotReady } from '../../src/agent/errors.ts';
import { OwnStreams, PeerStreams } from '../../src/agent/streams.ts';
import { controlHandlers } from '../../src/cli/agent-control.ts';
import type { AgentConfig } from '../../src/cli/config.ts';
import { Malformed } from '../../src/core/errors.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { canonicalJson, parseJson, parseJsonObject } from '../../src/core/json.ts';
import type { Membership, MessageMeta } from '../../src/domains/index.ts';
import type { HeldGrant } from '../../src/grants/index.ts';
import type { ActionRequest, Decision, Pep } from '../../src/permissions/index.ts';
import { DeviceHost, Inputs, PermissionDenied } from '../../src/permissions/index.ts';
import { chapter, vector } from '../identity/vectors.ts';

const dog = 'spiffe://rescue.example/agent/dog';
const vehicle = 'spiffe://rescue.example/agent/vehicle';
const quiet = { debug() {}, info() {}, warn() {} };

/** The end that is asked: what its enforcement point was asked, and what it answers on the wire. */
function asked(act: (request: ActionRequest) => Promise<unknown>) {
  const requests: ActionRequest[] = [];
  let handler: ((body: unknown, from: string) => Promise<unknown>) | undefined;
  const membership = {
    task: 'rescue-7',
    agentId: vehicle,
    answer: (answers: typeof handler) => {
      handler = answers;
    },
  } as unknown as Membership;
  const pep = {
    act: (asking: ActionRequest) => {
      requests.push(asking);
      return act(asking);
    },
  } as unknown as Pep;
  answerAsks(membership, pep, quiet);
  return {
    requests,
    answer: async (body: unknown) => {
      if (handler === undefined) throw new Error('nobody answers');
      return await handler(body, dog);
    },
  };
}

const permitting = () =>
  asked(async () => ({ decision: { id: 'Vi1xSoPGL20gEIUr', reason: 'permitted' }, running: {} }));

describe('a request to another member, as the wire reference shows it', () => {
  const example = parseJsonObject(vector('agent-ask'));

  it('is what an agent sends', async () => {
    const sent: unknown[] = [];
    const membership = {
      ask: async (to: string, body: unknown) => {
        sent.push(to, body);
        return parseJson(vector('agent-answer'));
      },
    } as unknown as Membership;
    const { op: _, ...rest } = example;
    const answer = await askFor(membership, vehicle, rest as Parameters<typeof askFor>[2]);
    expect(sent[0]).toBe(vehicle);
    expect(canonicalJson(sent[1] as Json)).toBe(vector('agent-ask'));
    expect(answer).toEqual(parseJson(vector('agent-answer')));
  });

  it('is decided for who asks and who acts, in the task of the domain', async () => {
    const end = permitting();
    const answer = await end.answer(example);
    expect(canonicalJson(answer as Json)).toBe(vector('agent-answer'));
    expect(end.requests).toEqual([
      {
        device: 'rescue-vehicle',
        action: 'lift-obstacle',
        arguments: { height: 0.5 },
        txn: 'obstacle-4711',
        task: 'rescue-7',
        subjects: [dog, vehicle],
      },
    ]);
  });

  it('is refused with a reason and no input of the decision', async () => {
    const decision = {
      id: 'MZI57UZQ003jume1',
      reason: 'condition',
      message: 'its condition does not hold',
      request: { device: 'rescue-vehicle', action: 'lift-obstacle' },
      trees: [{ position: 'secret' }],
    } as unknown as Decision;
    const end = asked(async () => {
      throw new PermissionDenied(decision);
    });
    expect(canonicalJson((await end.answer(example)) as Json)).toBe(vector('agent-answer-denied'));
  });

  const hostile: readonly [string, Json][] = [
    ['says who it is from', { ...example, from: vehicle }],
    ['names another task', { ...example, task: 'bridge-2' }],
    ['brings inputs', { ...example, context: { 'lidar-clear': true } }],
    ['is another operation', { ...example, op: 'grant' }],
    ['has no device', withoutMember(example, 'device')],
    ['has nested arguments', { ...example, arguments: { height: { min: 0 } } }],
    ['has a null argument', { ...example, arguments: { height: null } }],
    ['has a device with a name too long', { ...example, device: 'd'.repeat(65) }],
    ['has an argument with a name too long', { ...example, arguments: { ['a'.repeat(65)]: 1 } }],
    ['has a transaction too long', { ...example, txn: 't'.repeat(129) }],
    ['is nothing', null],
    ['is a list', [example]],
  ];
  it.each(hostile)('that %s is not even decided', async (_, body) => {
    const end = permitting();
    await expect(end.answer(body)).rejects.toBeInstanceOf(Malformed);
    expect(end.requests).toEqual([]);
  });

  it.each([
    ['says more', { ...parseJsonObject(vector('agent-answer')), position: [52, 13] }],
    ['says less', withoutMember(parseJsonObject(vector('agent-answer')), 'decision')],
    ['says yes in another way', { ...parseJsonObject(vector('agent-answer')), permitted: 1 }],
  ])('is not answered by what %s', async (_, answer) => {
    const membership = { ask: async () => answer } as unknown as Membership;
    await expect(askFor(membership, vehicle, { device: 'd', action: 'a' })).rejects.toBeInstanceOf(Malformed);
  });
});

describe('a report on a stream, as the wire reference shows it', () => {
  it('is what an agent tells of its device', async () => {
    const platform = simulatedPlatform({ seed: 1 });
    const body = robotDog();
    const said: unknown[] = [];
    const own = new OwnStreams(
      {
        lidar: {
          device: 'robot-dog',
          properties: ['lidar-clear', 'lidar-distance'],
          events: ['obstacle-seen'],
        },
      },
      [body],
      platform,
    );
    own.join({
      publish: async (stream: string, report: unknown) => void said.push([stream, report]),
    } as unknown as Membership);
    const { clock, log, network } = platform;
    const host = await DeviceHost.open(own.heard([body]), {
      clock,
      log,
      network,
      inputs: new Inputs(clock),
    });
    onTestFinished(() => host.close());
    await clock.advance(0);
    body.sense('lidar-distance', 1);
    body.sense('lidar-clear', false);
    body.happen('obstacle-seen', { distance: 1 });
    await clock.advance(0);
    const [stream, report] = said.at(-1) as [string, Json];
    expect(stream).toBe('lidar');
    expect(canonicalJson(report)).toBe(vector('agent-report'));
  });

  it('is an input of conditions that name its sender and stream', async () => {
    const platform = simulatedPlatform({ seed: 1 });
    const inputs = new Inputs(platform.clock);
    const source = { peer: dog, stream: 'lidar' };
    const clear = inputs.hold(source, 'property', 'lidar-clear');
    const seen = inputs.hold(source, 'event', 'obstacle-seen');
    const heard = new Map<string, (body: unknown, from: string, meta: MessageMeta) => void>();
    const peers = new PeerStreams(
      {
        subscribe: async (
          stream: string,
          handler: (body: unknown, from: string, meta: MessageMeta) => void,
        ) => {
          heard.set(stream, handler);
          return async () => {};
        },
      } as unknown as Membership,
      inputs,
      platform,
    );
    await peers.follow([
      {
        ancestors: [],
        grant: {
          condition: { op: 'state', source, property: 'lidar-clear', is: true, maxAgeMs: 500 },
        },
      } as unknown as HeldGrant,
    ]);
    await platform.clock.advance(1_000);
    const meta = { sentAt: platform.clock.now() - 250 } as MessageMeta;
    heard.get('lidar')?.(parseJson(vector('agent-report')), dog, meta);
    expect(clear.value).toBe(false);
    expect(platform.clock.elapsed() - clear.at).toBe(250);
    expect(platform.clock.elapsed() - seen.at).toBe(250);
  });
});

describe('the control socket, as the wire reference shows it', () => {
  it('has the names it lists, and no other', () => {
    const [, section = ''] = chapter('Between agents').split('### Control socket');
    const listed = [...section.matchAll(/^\| `([a-z]+)` \|/gm)].map(([, name]) => name);
    const handlers = controlHandlers({} as AgentConfig, () => ({ agent: undefined, waiting: undefined }));
    expect(listed.sort()).toEqual(Object.keys(handlers).sort());
  });

  /** Serves `handlers` and sends what the example shows. */
  async function exchange(handlers: ControlHandlers): Promise<{ status: number; body: string }> {
    const folder = await mkdtemp(join(tmpdir(), 'fealty-control-'));
    const server = await serveControl(join(folder, 'control.sock'), handlers);
    onTestFinished(async () => {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    });
    const [first = '', body = ''] = vector('control-request').split('\n');
    const [method = '', path = ''] = first.split(' ');
    return await new Promise((resolve, reject) => {
      const asking = request({ socketPath: server.path, method, path }, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (part: string) => {
          text += part;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: text }));
      });
      asking.on('error', reject);
      asking.end(body);
    });
  }

  it('answers what it shows', async () => {
    const asked: Json[] = [];
    const answer = await exchange({
      why: async (argument) => {
        asked.push(argument);
        return parseJson(vector('control-answer'));
      },
    });
    expect(asked).toEqual([{ id: 'MZI57UZQ003jume1' }]);
    expect(answer).toEqual({ status: 200, body: vector('control-answer') });
  });

  it('refuses as it shows', async () => {
    const answer = await exchange({
      why: async () => {
        throw new NotReady('domain', 'not a member of the domain of `rescue-7`');
      },
    });
    expect(answer).toEqual({ status: 409, body: vector('control-refusal') });
  });

  it('is asked so by who asks a running agent', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fealty-control-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const [first = '', body = ''] = vector('control-request').split('\n');
    const name = first.slice('POST /'.length);
    const asked: Json[] = [];
    const server = await serveControl(join(folder, 'control.sock'), {
      [name]: async (argument) => {
        asked.push(argument);
        return parseJson(vector('control-answer'));
      },
    });
    onTestFinished(() => server.close());
    expect(await askControl(server.path, name, parseJson(body))).toEqual(parseJson(vector('control-answer')));
    expect(asked).toEqual([parseJson(body)]);
  });
});

/** A copy without one member. */
function withoutMember(object: JsonObject, name: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));
}
