/** The real clock and the real randomness. */
import { randomFillSync } from 'node:crypto'
import type { Clock, Random } from '../core/clock.ts'

export const systemClock: Clock = {
  now: () => Date.now(),
  nowNs: () => BigInt(Date.now()) * 1_000_000n,
  timer: (ms, f) => {
    const t = setTimeout(f, ms)
    return () => clearTimeout(t)
  },
}

/** Random bytes are drawn from the operating system in blocks: one system call for many ids. */
export function systemRandom(now: () => number = Date.now): Random {
  const pool = Buffer.alloc(4096)
  let used = pool.length
  /** Where the next `n` bytes stand in the pool; nobody gets them twice. */
  const take = (n: number): number => {
    if (used + n > pool.length) {
      randomFillSync(pool)
      used = 0
    }
    const at = used
    used += n
    return at
  }
  return {
    bytes: length => {
      if (length > 1024) return randomFillSync(new Uint8Array(length))
      const at = take(length)
      const out = new Uint8Array(length)
      pool.copy(out, 0, at, at + length)
      return out
    },
    uuid: () => uuidv7(now(), pool, take(10)),
  }
}

/** RFC 9562 section 5.7: 48 bits of Unix milliseconds, version, 74 random bits from 10 bytes of `random` at `at`. */
export function uuidv7(ms: number, random: Uint8Array, at = 0): string {
  hex(0, ms / 2 ** 40)
  hex(2, ms / 2 ** 32)
  hex(4, ms / 2 ** 24)
  hex(6, ms / 2 ** 16)
  hex(9, ms / 2 ** 8)
  hex(11, ms)
  hex(14, 0x70 | ((random[at] ?? 0) & 0x0f))
  hex(16, random[at + 1] ?? 0)
  hex(19, 0x80 | ((random[at + 2] ?? 0) & 0x3f))
  hex(21, random[at + 3] ?? 0)
  for (let i = 0; i < 6; i++) hex(24 + 2 * i, random[at + 4 + i] ?? 0)
  return TEXT.toString('latin1')
}

/** One for all: it is read out before anybody else can write into it. */
const TEXT = Buffer.from('00000000-0000-0000-0000-000000000000', 'latin1')
const DIGITS = Buffer.from('0123456789abcdef', 'latin1')

function hex(at: number, byte: number): void {
  TEXT[at] = DIGITS[(byte >>> 4) & 15] ?? 0
  TEXT[at + 1] = DIGITS[byte & 15] ?? 0
}
