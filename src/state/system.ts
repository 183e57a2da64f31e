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
  const take = (n: number): Uint8Array => {
    if (used + n > pool.length) {
      randomFillSync(pool)
      used = 0
    }
    const out = pool.subarray(used, used + n)
    used += n
    return out
  }
  return {
    bytes: length => (length > 1024 ? randomFillSync(new Uint8Array(length)) : new Uint8Array(take(length))),
    uuid: () => uuidv7(now(), take(10)),
  }
}

/** RFC 9562 section 5.7: 48 bits of Unix milliseconds, version, 74 random bits. `random` has 10 bytes. */
export function uuidv7(ms: number, random: Uint8Array): string {
  const high = Math.floor(ms / 0x10000)
  const low = Math.floor(ms) % 0x10000
  const b = (i: number): string => HEX[random[i] ?? 0] ?? '00'
  return (
    `${HEX[(high >>> 24) & 255]}${HEX[(high >>> 16) & 255]}${HEX[(high >>> 8) & 255]}${HEX[high & 255]}-` +
    `${HEX[low >>> 8]}${HEX[low & 255]}-${HEX[0x70 | ((random[0] ?? 0) & 0x0f)]}${b(1)}-` +
    `${HEX[0x80 | ((random[2] ?? 0) & 0x3f)]}${b(3)}-${b(4)}${b(5)}${b(6)}${b(7)}${b(8)}${b(9)}`
  )
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))
