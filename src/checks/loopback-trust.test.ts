import { describe, expect, it } from 'vitest'
import { UNRESOLVED } from '../core/owner.ts'
import { LoopbackTrustCheck, type LoopbackTrustOptions } from './loopback-trust.ts'
import { exchangeOf, TestContext } from './testing.ts'

function owner(peerAddress: string | undefined, options: LoopbackTrustOptions = {}) {
  const check = new LoopbackTrustCheck(options)
  const ctx = new TestContext(check)
  expect(check.admit(exchangeOf({ owner: UNRESOLVED, peerAddress }), ctx)).toEqual({ kind: 'allow' })
  return ctx.owner === undefined ? undefined : `${ctx.owner.id} by ${ctx.owner.authenticatedBy}`
}

const own = { extraTrustedCidrs: ['10.1.0.0/16', 'fd00::/8', '::ffff:192.168.0.0/112'] }

describe('loopback_trust', () => {
  it.each<[string | undefined, LoopbackTrustOptions, string | undefined]>([
    ['127.0.0.1', {}, 'internal-loopback by loopback_trust:127.0.0.0/8'],
    ['127.8.9.1', {}, 'internal-loopback by loopback_trust:127.0.0.0/8'],
    ['::1', {}, 'internal-loopback by loopback_trust:::1/128'],
    ['::ffff:127.0.0.1', {}, 'internal-loopback by loopback_trust:127.0.0.0/8'],
    ['::ffff:7f00:1', {}, 'internal-loopback by loopback_trust:127.0.0.0/8'],
    ['100.64.0.9', {}, 'internal-tailnet:100.64.0.9 by loopback_trust:100.64.0.0/10'],
    ['100.127.255.255', {}, 'internal-tailnet:100.127.255.255 by loopback_trust:100.64.0.0/10'],
    ['10.1.2.3', own, 'internal-trusted:10.1.2.3 by loopback_trust:10.1.0.0/16'],
    ['fd12::1', own, 'internal-trusted:fd12::1 by loopback_trust:fd00::/8'],
    ['192.168.3.4', own, 'internal-trusted:192.168.3.4 by loopback_trust:::ffff:192.168.0.0/112'],
    ['100.128.0.1', {}, undefined],
    ['128.0.0.1', {}, undefined],
    ['10.2.0.1', own, undefined],
    ['::2', {}, undefined],
    ['203.0.113.9', {}, undefined],
    ['127.0.0.1', { trustLoopback: false }, undefined],
    ['100.64.0.9', { trustTailscale: false }, undefined],
    [undefined, {}, undefined],
    ['', {}, undefined],
    ['/run/gate.sock', {}, undefined],
    ['127.0.0.1.example.com', {}, undefined],
    ['127.1', {}, undefined],
    ['::1%lo', {}, undefined],
    ['fe80::1%eth0', { extraTrustedCidrs: ['fe80::/10'] }, undefined],
  ])('%s with %j', (peer, options, expected) => {
    expect(owner(peer, options)).toBe(expected)
  })

  it('never replaces an owner that is known', () => {
    const check = new LoopbackTrustCheck()
    const ctx = new TestContext(check)
    check.admit(exchangeOf({ peerAddress: '127.0.0.1' }), ctx)
    expect(ctx.owner).toBeUndefined()
  })
})
