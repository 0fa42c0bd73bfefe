import { describe, expect, it } from 'vitest';
import { virtualClock } from '../../simulator/clock.ts';
import { simulatedNetwork } from '../../simulator/network.ts';
import { Unreachable } from '../../src/core/errors.ts';

const chain = [new Uint8Array([1]), new Uint8Array([2])];
const tls = { verifyPeer: () => {} };

function setUp() {
  const network = simulatedNetwork();
  const seen: { url: string; body: string; header: string | null }[] = [];
  const detach = network.attach('https://authority.example', {
    chain: () => chain,
    handle: async (request) => {
      seen.push({ url: request.url, body: await request.text(), header: request.headers.get('x-one') });
      return new Response('heard', { status: 201, headers: { 'X-Two': 'b' } });
    },
  });
  return { network, seen, detach };
}

describe('the simulated network', () => {
  it('brings a request to its host and the answer back', async () => {
    const { network, seen } = setUp();
    const answer = await network.request({
      method: 'POST',
      url: 'https://authority.example/a?b=c',
      headers: { 'x-one': '1' },
      body: new TextEncoder().encode('said'),
      tls,
    });
    expect(seen).toEqual([{ url: 'https://authority.example/a?b=c', body: 'said', header: '1' }]);
    expect(answer.status).toBe(201);
    expect(answer.headers['x-two']).toBe('b');
    expect(new TextDecoder().decode(answer.body)).toBe('heard');
    expect(network.open).toBe(0);
  });

  it('lets the caller judge the certificates before anything is sent', async () => {
    const { network, seen } = setUp();
    let shown: readonly Uint8Array[] = [];
    const verifyPeer = (presented: readonly Uint8Array[]) => {
      shown = presented;
      throw new Error('not the owner’s');
    };
    await expect(
      network.request({ method: 'GET', url: 'https://authority.example/', tls: { verifyPeer } }),
    ).rejects.toThrow('not the owner’s');
    expect(shown).toEqual(chain);
    expect(seen).toEqual([]);
  });

  it('has nobody at other addresses, at other ports, nor where somebody left', async () => {
    const { network, detach } = setUp();
    const ask = (url: string) => network.request({ method: 'GET', url, tls });
    await expect(ask('https://other.example/')).rejects.toBeInstanceOf(Unreachable);
    await expect(ask('https://authority.example:8443/')).rejects.toBeInstanceOf(Unreachable);
    detach();
    await expect(ask('https://authority.example/')).rejects.toBeInstanceOf(Unreachable);
    await expect(network.connect({ host: 'authority.example', port: 443 })).rejects.toBeInstanceOf(
      Unreachable,
    );
  });

  it('speaks https alone, and only to who judges', async () => {
    const { network } = setUp();
    await expect(network.request({ method: 'GET', url: 'http://authority.example/', tls })).rejects.toThrow(
      TypeError,
    );
    await expect(network.request({ method: 'GET', url: 'https://authority.example/' })).rejects.toThrow(
      TypeError,
    );
  });

  it('gives no answer for a host that fails, one that says too much, or a caller that gave up', async () => {
    const { network } = setUp();
    network.attach('https://broken.example', {
      chain: () => chain,
      handle: () => Promise.reject(new Error('broken')),
    });
    network.attach('https://long.example', {
      chain: () => chain,
      handle: async () => new Response(new Uint8Array((1 << 20) + 1)),
    });
    const ask = (url: string, signal?: AbortSignal) => network.request({ method: 'GET', url, tls, signal });
    await expect(ask('https://broken.example/')).rejects.toBeInstanceOf(Unreachable);
    await expect(ask('https://long.example/')).rejects.toBeInstanceOf(Unreachable);
    await expect(ask('https://authority.example/', AbortSignal.abort())).rejects.toBeInstanceOf(Unreachable);
    expect(network.open).toBe(0);
  });

  it('takes its time on the virtual clock', async () => {
    const clock = virtualClock(0);
    const network = simulatedNetwork({ clock, latencyMs: 20 });
    let heardAt = -1;
    network.attach('https://far.example', {
      chain: () => chain,
      handle: async () => {
        heardAt = clock.elapsed();
        return new Response();
      },
    });
    let answeredAt = -1;
    const asked = network.request({ method: 'GET', url: 'https://far.example/', tls }).then(() => {
      answeredAt = clock.elapsed();
    });
    await clock.advance(100);
    await asked;
    expect([heardAt, answeredAt]).toEqual([20, 40]);
  });
});

describe('virtual time', () => {
  it('leaps over what repeats: each timer runs once, late, in the order of its time', async () => {
    const clock = virtualClock(1_000);
    const ran: string[] = [];
    const every = (name: string, ms: number) => {
      const again = () =>
        clock.schedule(ms, () => {
          ran.push(`${name} at ${clock.elapsed()}`);
          again();
        });
      again();
    };
    every('slow', 900);
    every('fast', 10);
    await clock.leap(1_000);
    expect(ran).toEqual(['fast at 1000', 'slow at 1000']);
    expect(clock.now()).toBe(2_000);
    await clock.advance(10);
    expect(ran.at(-1)).toBe('fast at 1010');
  });

  it('waits for what is under way', async () => {
    let busy = false;
    const clock = virtualClock(0, () => busy);
    let done = -1;
    clock.schedule(10, () => {
      busy = true;
      const rounds = async () => {
        for (let round = 0; round < 50; round++) await new Promise((resolve) => setImmediate(resolve));
        done = clock.elapsed();
        busy = false;
      };
      void rounds();
    });
    await clock.advance(100);
    expect(done).toBe(10);
  });
});
