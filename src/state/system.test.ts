import { describe, expect, it } from 'vitest'
import { systemRandom, uuidv7 } from './system.ts'

describe('uuidv7', () => {
  it('has the version, the variant and the time of RFC 9562', () => {
    // The example of RFC 9562 appendix A.6.
    const id = uuidv7(0x017f22e279b0, Uint8Array.of(0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f))
    expect(id).toMatch(/^017f22e2-79b0-7cc3-98c4-dc0c0c07398f$/)
  })

  it('never repeats and sorts by time', () => {
    let now = 1_700_000_000_000
    const random = systemRandom(() => now)
    const ids = Array.from({ length: 2000 }, () => {
      now += 1
      return random.uuid()
    })
    expect(new Set(ids).size).toBe(2000)
    expect([...ids].sort()).toEqual(ids)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })
})
