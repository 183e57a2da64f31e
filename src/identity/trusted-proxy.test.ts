import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type TrustedProxyOptions, trustedProxyIdentity } from './trusted-proxy.ts'

const OPTIONS: TrustedProxyOptions = { proxies: ['10.1.0.0/16', '::1'], header: 'X-Auth-Request-Email' }
const wire = (text: string) => Buffer.from(text, 'utf8').toString('latin1')

const who = async (
  rawHeaders: readonly string[],
  socketAddress: string | undefined = '10.1.2.3',
  options: Partial<TrustedProxyOptions> = {},
) => trustedProxyIdentity({ ...OPTIONS, ...options }).identify({ rawHeaders, socketAddress })

describe('a listed proxy', () => {
  it.each<[string, string | undefined]>([
    ['an IPv4 address in the network', '10.1.255.255'],
    ['the same, mapped into IPv6', '::ffff:10.1.2.3'],
    ['an IPv6 address', '0:0:0:0:0:0:0:1'],
  ])('names the caller: %s', async (_, address) => {
    expect(await who(['X-Auth-Request-Email', 'alice@example.com'], address)).toEqual({
      kind: 'identified',
      owner: {
        type: 'human',
        id: 'alice@example.com',
        approvalChain: ['human:alice@example.com'],
        authenticatedBy: 'trusted_proxy',
        claims: {},
      },
      declared: { classification: undefined, clearance: undefined, clearanceVerified: true },
      usedHeaders: [],
    })
  })

  it('may name other owners, and a clearance', async () => {
    const options = { ownerType: 'agent', clearanceHeader: 'X-Auth-Request-Level' } as const
    const name = ['x-auth-request-email', 'crawler']
    expect(await who([...name, 'x-auth-request-level', 'secret'], '10.1.2.3', options)).toMatchObject({
      owner: { type: 'agent', id: 'crawler' },
      declared: { clearance: 'secret', clearanceVerified: true },
    })
    expect(await who(name, '10.1.2.3', options)).toMatchObject({ declared: { clearance: undefined } })
    for (const bad of [['secret, top_secret'], ['sec\u0000ret'], ['a', 'b']]) {
      const levels = bad.flatMap(level => ['x-auth-request-level', level])
      expect(await who([...name, ...levels], '10.1.2.3', options)).toMatchObject({ code: 'credential_invalid' })
    }
  })

  it('names may be in any language, each in one spelling', async () => {
    expect(await who(['x-auth-request-email', wire('José'.normalize('NFD'))])).toMatchObject({ owner: { id: 'José' } })
  })
})

describe('anybody else', () => {
  const alice = ['X-Auth-Request-Email', 'alice@example.com']
  it.each<[string, readonly string[], string | undefined, string]>([
    ['another address', alice, '10.2.0.1', 'not_from_a_trusted_proxy'],
    ['the loopback, which is not listed', alice, '127.0.0.1', 'not_from_a_trusted_proxy'],
    ['another address, mapped', alice, '::ffff:10.2.0.1', 'not_from_a_trusted_proxy'],
    [
      'an address that says it is the proxy',
      [...alice, 'X-Forwarded-For', '10.1.2.3'],
      '192.0.2.1',
      'not_from_a_trusted_proxy',
    ],
    ['a unix socket', alice, undefined, 'not_from_a_trusted_proxy'],
    ['no address', alice, '', 'not_from_a_trusted_proxy'],
    ['no name', ['X-Commit-Owner', 'human:alice'], '10.1.2.3', 'absent'],
    ['a blank name', ['X-Auth-Request-Email', ' '], '10.1.2.3', 'absent'],
    [
      "two headers: the caller's and the proxy's",
      ['x-auth-request-email', 'root@example.com', ...alice],
      '10.1.2.3',
      'sent_twice',
    ],
    ['an empty one before', ['x-auth-request-email', '', ...alice], '10.1.2.3', 'sent_twice'],
    [
      'two values, joined on the way',
      ['x-auth-request-email', 'root@example.com, alice@example.com'],
      '10.1.2.3',
      'name_unusable',
    ],
    ['a control character', ['x-auth-request-email', 'alice\u0001'], '10.1.2.3', 'name_unusable'],
    ['a zero-width character', ['x-auth-request-email', wire('al\u200bice')], '10.1.2.3', 'name_unusable'],
    ['bytes that are no UTF-8', ['x-auth-request-email', 'alic\u00e9'], '10.1.2.3', 'name_unusable'],
    ['letters of two scripts', ['x-auth-request-email', wire('аlice')], '10.1.2.3', 'name_unusable'],
  ])('is refused: %s', async (_, headers, address, problem) => {
    const found = await trustedProxyIdentity(OPTIONS).identify({ rawHeaders: headers, socketAddress: address })
    expect(found).toMatchObject({ kind: 'fault', code: 'credential_invalid', details: { problem } })
  })

  it('no header changes who the proxy says it is, and none but the proxy can say it', async () => {
    const name = fc.constantFrom(
      ...['X-Commit-Owner', 'X-Agent-Id', 'X-Caller-Clearance', 'X-Forwarded-For', 'Forwarded', 'X-Real-IP'],
      ...['X_Auth_Request_Email', 'X-Auth-Request-User', 'X-Forwarded-Email', 'Authorization'],
    )
    const value = fc.oneof(fc.constantFrom('human:root', 'root', '10.1.2.3', 'top_secret'), fc.string())
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 5 }), async pairs => {
        expect(await who([...pairs.flat(), ...alice])).toMatchObject({
          owner: { type: 'human', id: 'alice@example.com' },
          declared: { clearance: undefined, clearanceVerified: true },
        })
        expect(await who([...pairs.flat(), ...alice], '192.0.2.1')).toMatchObject({ code: 'credential_invalid' })
      }),
      { numRuns: 100 },
    )
  })
})

describe('settings that cannot be meant', () => {
  it.each<[string, Partial<TrustedProxyOptions>, RegExp]>([
    ['no proxies', { proxies: [] }, /proxies: expected at least one/],
    ['no network', { proxies: ['proxy.example'] }, /identity.trustedProxy.proxies: 'proxy.example' is not an address/],
    ['what callers say', { header: 'X-Commit-Owner' }, /choose another header/],
    ['a header of HTTP itself', { header: 'Host' }, /host has a meaning of its own/],
    ['what callers say, as clearance', { clearanceHeader: 'X-Caller-Clearance' }, /choose another header/],
    ['one header for both', { clearanceHeader: 'x-auth-request-email' }, /expected another header/],
  ])('%s', (_, options, message) => {
    expect(() => trustedProxyIdentity({ ...OPTIONS, ...options })).toThrow(message)
  })
})
