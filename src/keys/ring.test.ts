import { createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Key, KeyError, KeyRing } from './ring.ts'
import { OVERLAP_MS } from './schedule.ts'

const secret = Uint8Array.from({ length: 32 }, (_, i) => i)
const hex = Buffer.from(secret).toString('hex')

describe('a key', () => {
  it('computes HMAC-SHA256 for any secret and message length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 200 }), fc.uint8Array({ maxLength: 300 }), (s, m) => {
        expect(new Key('k', s).mac(m)).toBe(createHmac('sha256', s).update(m).digest('hex'))
      }),
    )
    const long = Buffer.alloc(70_000, 7)
    expect(new Key('k', secret).mac(long)).toBe(createHmac('sha256', secret).update(long).digest('hex'))
  })

  it('leaves out a middle part exactly', () => {
    const key = new Key('k', secret)
    for (const size of [100, 200_000]) {
      const source = Buffer.alloc(size, 3)
      source.write('abcdefghij', 20)
      const rest = Buffer.concat([source.subarray(5, 24), source.subarray(30, size - 1)])
      expect(key.macWithout(source, 5, 24, 30, size - 1)).toBe(key.mac(rest))
    }
  })

  it('verifies only its own MAC', () => {
    const key = new Key('k', secret)
    const mac = key.mac(Buffer.from('m'))
    expect(key.verify(Buffer.from('m'), mac)).toBe(true)
    expect(key.verify(Buffer.from('n'), mac)).toBe(false)
    expect(key.verify(Buffer.from('m'), mac.toUpperCase())).toBe(false)
    expect(key.verify(Buffer.from('m'), '')).toBe(false)
  })

  it.each(['', ' ', 'a b', 'ä', 'a\n', 'x'.repeat(129)])('refuses the id %j', id => {
    expect(() => new Key(id, secret)).toThrow(KeyError)
  })

  it('refuses short secrets, and what is not hex, in one line without the secret', () => {
    const bad = [
      () => new Key('k', secret.subarray(0, 15)),
      () => Key.fromHex('k', hex.slice(1)),
      () => Key.fromHex('k', `${hex.slice(2)}zz`),
      () => Key.fromHex('k', hex.slice(0, 32), 32),
    ]
    for (const make of bad) {
      try {
        make()
        expect.unreachable()
      } catch (error) {
        expect(error).toBeInstanceOf(KeyError)
        const { message } = error as KeyError
        expect(message).not.toContain('\n')
        expect(message).not.toContain(hex.slice(4, 20))
      }
    }
  })

  it('reads hex with and without 0x', () => {
    const m = Buffer.from('m')
    expect(Key.fromHex('k', `0x${hex}`).mac(m)).toBe(new Key('k', secret).mac(m))
    expect(Key.fromHex('k', hex.toUpperCase()).mac(m)).toBe(new Key('k', secret).mac(m))
  })

  it('shows its secret nowhere', () => {
    const key = new Key('k', Buffer.from('supersecretsupersecret'))
    const ring = new KeyRing(key)
    for (const shown of [
      `${key}`,
      JSON.stringify({ key, ring }),
      inspect({ key, ring }, { depth: 9, showHidden: true }),
      `${ring}`,
    ]) {
      expect(shown).not.toContain('supersecret')
      expect(shown).not.toContain(Buffer.from('supersecret').toString('hex'))
      expect(shown).not.toMatch(/73 75 70 65 72/)
    }
  })
})

describe('a key ring', () => {
  const key = (id: string) => new Key(id, Buffer.from(id.padEnd(32, '.')))

  const day = 86_400_000
  const ns = (ms: number) => BigInt(ms) * 1_000_000n
  const dated = (id: string, notBefore?: number, notAfter?: number) => ({ key: key(id), notBefore, notAfter })

  it('signs with the key whose time it is, and keeps all for verifying', () => {
    const ring = KeyRing.dated([dated('b', 10 * day), dated('a')], [key('old')])
    expect(ring.at(ns(0)).id).toBe('a')
    expect(ring.at(ns(10 * day) - 1n).id).toBe('a')
    expect(ring.at(ns(10 * day)).id).toBe('b')
    expect(ring.at(ns(20 * day)).id).toBe('b')
    // A clock that was set back.
    expect(ring.at(ns(9 * day)).id).toBe('a')
    expect([...ring.ids].sort()).toEqual(['a', 'b', 'old'])
    expect(ring.get('nobody')).toBeUndefined()
  })

  it('accepts what a key signed within its period and shortly after its successor began, and no more', () => {
    const ring = KeyRing.dated([dated('a'), dated('b', 10 * day, 20 * day)], [key('old')])
    expect(ring.accepts('a', ns(0))).toBe(true)
    expect(ring.accepts('a', ns(10 * day + OVERLAP_MS) - 1n)).toBe(true)
    expect(ring.accepts('a', ns(10 * day + OVERLAP_MS))).toBe(false)
    expect(ring.accepts('b', ns(10 * day) - 1_000_000n)).toBe(false)
    expect(ring.accepts('b', ns(20 * day) - 1n)).toBe(true)
    expect(ring.accepts('b', ns(20 * day))).toBe(false)
    expect(ring.accepts('old', ns(99 * day))).toBe(true)
  })

  it('signs nothing when the newest key has ended: the one before does not come back', () => {
    const ring = KeyRing.dated([dated('a'), dated('b', 10 * day, 20 * day)])
    expect(ring.canSign(ns(20 * day))).toBe(false)
    expect(() => ring.at(ns(20 * day))).toThrow(/b ended at 1970-01-21T.*fix: signet keys rotate --purpose chain/)
    expect(ring.vouching(ns(21 * day)).id).toBe('b')
    expect(ring.vouching(-1n).id).toBe('a')
  })

  it('takes new keys while it is used, whole or not at all', () => {
    const ring = KeyRing.dated([dated('a')])
    expect(ring.at(ns(5 * day)).id).toBe('a')
    expect(() => ring.replace([dated('a'), dated('a', 2 * day)])).toThrow(/already in the ring/)
    expect(ring.ids).toEqual(['a'])
    ring.replace([dated('a'), dated('b', 2 * day)])
    expect(ring.at(ns(5 * day)).id).toBe('b')
  })

  it('refuses an id that it has', () => {
    const ring = new KeyRing(key('a'))
    expect(() => ring.addLegacy(key('a'))).toThrow(/already in the ring/)
    expect(() => new KeyRing(key('a'), [key('b'), key('b')])).toThrow(/already in the ring/)
  })

  it('survives the way to a worker', () => {
    const ring = KeyRing.dated([dated('a'), dated('c', day, 2 * day)], [key('b')])
    const again = KeyRing.fromShared(ring.share())
    expect(again.at(0n).mac(Buffer.from('m'))).toBe(ring.at(0n).mac(Buffer.from('m')))
    expect(again.accepts('c', ns(2 * day))).toBe(false)
    expect(again.ids).toEqual(['a', 'c', 'b'])
  })
})
