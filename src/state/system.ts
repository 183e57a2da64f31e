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
    bytes: length => (length > 1024 ? randomFillSync(new Uint8Array(length)) : Uint8Array.from(take(length))),
    uuid: () => uuidv7(now(), take(10)),
  }
}

/** RFC 9562 section 5.7: 48 bits of Unix milliseconds, version, 74 random bits. */
export function uuidv7(ms: number, random: Uint8Array): string {
  const time = Math.floor(ms).toString(16).padStart(12, '0')
  let r = ''
  for (let i = 0; i < 10; i += 1) r += HEX[random[i] ?? 0]
  const variant = HEX[0x80 | (Number.parseInt(r.slice(4, 6), 16) & 0x3f)] ?? '80'
  return `${time.slice(0, 8)}-${time.slice(8, 12)}-7${r.slice(1, 4)}-${variant}${r.slice(6, 8)}-${r.slice(8, 20)}`
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))
