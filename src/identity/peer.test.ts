import { describe, expect, it } from 'vitest'
import { canonicalAddress, isLoopback, networkList } from './address.ts'
import { createPeerResolver } from './peer.ts'

describe('addresses', () => {
  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['::FFFF:7f00:1', '127.0.0.1'],
    ['0:0:0:0:0:ffff:10.1.2.3', '10.1.2.3'],
    ['::1', '::1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    // Not the mapped range: a different address that only looks similar.
    ['::127.0.0.1', '::7f00:1'],
    ['', undefined],
    ['localhost', undefined],
    ['127.1', undefined],
    ['0x7f.0.0.1', undefined],
    ['127.0.0.01', undefined],
    ['1.2.3.4:80', undefined],
    ['[::1]', undefined],
    ['/var/run/signet.sock', undefined],
  ])('%j is %s', (text, expected) => {
    expect(canonicalAddress(text)).toBe(expected)
  })

  it('loopback', () => {
    expect(['127.0.0.1', '127.200.0.9', '::1'].map(isLoopback)).toEqual([true, true, true])
    expect(['128.0.0.1', '10.0.0.1', '::2', '::7f00:1'].map(isLoopback)).toEqual([false, false, false, false])
  })

  it.each([
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0/8',
    'proxy.example',
    '::/129',
    '::ffff:10.0.0.0/104',
    '',
    '10.0.0.0/8/8',
  ])('the network %j is refused by name of its setting', network => {
    expect(() => networkList([network], 'trustedProxies')).toThrow(/^trustedProxies: /)
  })
})

describe('whose address', () => {
  const plain = createPeerResolver()
  const proxied = createPeerResolver({ trustedProxies: ['10.0.0.0/8', '127.0.0.1', 'fd00::/8'] })

  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['203.0.113.9', '203.0.113.9'],
    [undefined, undefined],
    ['', undefined],
  ])('without proxies it is the socket’s: %s', (socket, expected) => {
    expect(plain(socket, ['Host', 'x'])).toBe(expected)
  })

  it('a stranger’s X-Forwarded-For is not believed', () => {
    expect(plain('203.0.113.9', ['X-Forwarded-For', '127.0.0.1'])).toBe('203.0.113.9')
    expect(proxied('203.0.113.9', ['X-Forwarded-For', '127.0.0.1'])).toBe('203.0.113.9')
    expect(plain('203.0.113.9', ['X-Real-IP', '127.0.0.1', 'Forwarded', 'for=127.0.0.1'])).toBe('203.0.113.9')
  })

  it.each(['X-Forwarded-For', 'x-forwarded-proto', 'X-FORWARDED-HOST', 'X-Real-IP', 'Forwarded', 'Via'])(
    'loopback is nobody in particular when %s shows an unlisted proxy on this host',
    name => {
      expect(plain('127.0.0.1', [name, '198.51.100.1'])).toBeUndefined()
      expect(plain('::ffff:127.0.0.1', [name, '127.0.0.1'])).toBeUndefined()
      expect(plain('::1', [name, ''])).toBeUndefined()
    },
  )

  it.each([
    ['one proxy', '10.0.0.1', ['198.51.100.1'], '198.51.100.1'],
    ['a chain of listed proxies', '10.0.0.1', ['198.51.100.1, 10.0.0.3, 10.0.0.2'], '198.51.100.1'],
    ['several headers', '10.0.0.1', ['198.51.100.1', '10.0.0.2'], '198.51.100.1'],
    ['forged entries left of the caller', '10.0.0.1', ['127.0.0.1, ::1, 198.51.100.1'], '198.51.100.1'],
    ['forged header before the proxy’s own', '10.0.0.1', ['127.0.0.1', '198.51.100.1'], '198.51.100.1'],
    ['mapped and with ports', '::ffff:10.0.0.1', ['[::ffff:198.51.100.1]:4711'], '198.51.100.1'],
    ['IPv4 with port', '10.0.0.1', ['198.51.100.1:4711'], '198.51.100.1'],
    ['IPv6', 'fd00::1', ['[2001:DB8::1]'], '2001:db8::1'],
    ['a caller inside', '127.0.0.1', ['10.1.1.1'], '10.1.1.1'],
  ] as [string, string, string[], string][])('%s', (_, socket, values, expected) => {
    expect(
      proxied(
        socket,
        values.flatMap(value => ['x-forwarded-for', value]),
      ),
    ).toBe(expected)
  })

  it.each([
    ['no header', []],
    ['blank', ['X-Forwarded-For', '']],
    ['unknown', ['X-Forwarded-For', 'unknown']],
    ['rubbish next to the proxy', ['X-Forwarded-For', '198.51.100.1, rubbish']],
    ['obfuscated', ['X-Forwarded-For', '_hidden, 10.0.0.2']],
  ] as [string, string[]][])('a listed proxy that does not say for whom (%s) makes nobody trusted', (_, headers) => {
    expect(proxied('127.0.0.1', headers)).toBeUndefined()
  })
})
