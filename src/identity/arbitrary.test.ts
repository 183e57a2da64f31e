import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalAddress } from './address.ts'
import { assertedIdentity } from './asserted.ts'
import { createDuplicateRule } from './headers.ts'
import { createListenerRule } from './host.ts'
import { createPeerResolver } from './peer.ts'
import { readSession } from './session.ts'

/** What node:http can hand over: known names, and values of Latin-1 characters. */
const value = fc.oneof(
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map(unit => String.fromCharCode(unit)) }),
  fc.ipV4(),
  fc.ipV6(),
  fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant('unknown'))).map(list => list.join(', ')),
)
const name = fc.constantFrom(
  'Host',
  'Origin',
  'X-Commit-Owner',
  'X-Agent-Id',
  'X-Policy-Name',
  'X-Signet-Session',
  'X-Forwarded-For',
)
const rawHeaders = fc.array(fc.tuple(name, value), { maxLength: 8 }).map(pairs => pairs.flat())

describe('whatever the headers hold', () => {
  it('reading them never throws, and a resolved owner has an id without invisible characters', async () => {
    const rule = createListenerRule({ sameOrigin: true })
    const duplicates = createDuplicateRule()
    const peer = createPeerResolver({ trustedProxies: ['10.0.0.0/8', '::1'] })
    const identity = assertedIdentity()
    await fc.assert(
      fc.asyncProperty(rawHeaders, async headers => {
        rule(headers)
        duplicates(headers)
        readSession(headers)
        const address = peer('::1', headers)
        if (address !== undefined) expect(canonicalAddress(address)).toBe(address)
        const found = await identity.identify({ rawHeaders: headers, socketAddress: undefined })
        if (found.kind !== 'identified') throw new Error('expected an owner, if only an unresolved one')
        expect(found.owner.id === '').toBe(found.owner.type === 'unresolved')
        expect(found.owner.id).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
      }),
      { numRuns: 200 },
    )
  })

  it('an address has one spelling', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), text => {
        const once = canonicalAddress(text)
        expect(once).toBeDefined()
        expect(canonicalAddress(once ?? '')).toBe(once)
        expect(canonicalAddress(text.toUpperCase())).toBe(once)
      }),
    )
  })

  it('an IPv4 address and its mapped form are one', () => {
    fc.assert(
      fc.property(fc.ipV4(), text => {
        expect(canonicalAddress(`::ffff:${text}`)).toBe(canonicalAddress(text))
      }),
    )
  })
})
