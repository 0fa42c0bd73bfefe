import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Malformed } from '../../src/core/errors.ts';
import { agentIdOf, isAgentId, parseAgentId, trustDomainOf } from '../../src/identity/agent-id.ts';

describe('an agent identifier (ID-01)', () => {
  it.each([
    ['spiffe://fleet.example/agent/robot-7', 'fleet.example', '/agent/robot-7'],
    ['wimse://fleet.example/a', 'fleet.example', '/a'],
    ['spiffe://a_b-1.example/A.b_c-d/2', 'a_b-1.example', '/A.b_c-d/2'],
  ])('is read from %s', (uri, trustDomain, path) => {
    expect(parseAgentId(uri)).toMatchObject({ uri, trustDomain, path });
    expect(trustDomainOf(uri)).toBe(trustDomain);
  });

  it.each([
    ['no scheme', 'fleet.example/agent'],
    ['another scheme', 'https://fleet.example/agent'],
    ['a scheme in capitals', 'SPIFFE://fleet.example/agent'],
    ['a trust domain in capitals', 'spiffe://Fleet.example/agent'],
    ['no path', 'spiffe://fleet.example'],
    ['an empty path', 'spiffe://fleet.example/'],
    ['a trailing slash', 'spiffe://fleet.example/agent/'],
    ['an empty segment', 'spiffe://fleet.example//agent'],
    ['a dot segment', 'spiffe://fleet.example/agent/../other'],
    ['a single dot', 'spiffe://fleet.example/./agent'],
    ['a query', 'spiffe://fleet.example/agent?x=1'],
    ['a fragment', 'spiffe://fleet.example/agent#x'],
    ['a user', 'spiffe://user@fleet.example/agent'],
    ['a port', 'spiffe://fleet.example:8443/agent'],
    ['an IPv4 address', 'spiffe://192.0.2.1/agent'],
    ['an IPv4 address as one number', 'spiffe://3221225985/agent'],
    ['an IPv4 address in hexadecimal', 'spiffe://0xc0.0.2.0x1/agent'],
    ['an IPv6 address', 'spiffe://[2001:db8::1]/agent'],
    ['percent-encoding', 'spiffe://fleet.example/a%2fb'],
    ['a backslash', 'spiffe://fleet.example/a\\b'],
    ['white space', 'spiffe://fleet.example/agent '],
    ['a line break at the end', 'spiffe://fleet.example/agent\n'],
    ['letters that only look alike', 'spiffe://fl\u0435et.example/agent'],
    ['an empty trust domain', 'spiffe:///agent'],
    ['more than 2,048 bytes', `spiffe://fleet.example/${'a'.repeat(2048)}`],
    ['something that is not text', 7],
  ])('is refused with %s', (_what, uri) => {
    expect(() => parseAgentId(uri)).toThrow(Malformed);
    expect(isAgentId(uri)).toBe(false);
  });

  it('of exactly 2,048 bytes is accepted', () => {
    const uri = `spiffe://fleet.example/${'a'.repeat(2048 - 23)}`;
    expect(uri.length).toBe(2048);
    expect(isAgentId(uri)).toBe(true);
  });

  it('is made from a trust domain and a name', () => {
    expect(agentIdOf('fleet.example', 'robot-7')).toBe('spiffe://fleet.example/agent/robot-7');
    expect(() => agentIdOf('fleet.example', 'a/../b')).toThrow(Malformed);
  });

  it('is read whole or refused with Malformed, whatever text comes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.webUrl(),
          fc.string().map((tail) => `spiffe://a.b/${tail}`),
        ),
        (text) => {
          try {
            const { scheme, trustDomain, path } = parseAgentId(text);
            expect(`${scheme}://${trustDomain}${path}`).toBe(text);
          } catch (error) {
            expect(error).toBeInstanceOf(Malformed);
          }
        },
      ),
      { seed: 1, numRuns: 500 },
    );
  });
});
