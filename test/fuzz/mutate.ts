/** Changes bytes: flips, cuts, repeats, splices of other inputs, words of the format. At most 64 KiB come out. */
import type { Random } from './random.ts'
import { bytesOf } from './target.ts'

const LONGEST = 64 * 1024

/** Bytes and sequences that parsers stumble over. */
const HOSTILE = [
  '\0',
  '\r',
  '\n',
  '\r\n',
  '\n\n',
  '"',
  '\\',
  '\\u0000',
  '\\ud800',
  '\\udc00',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  'null',
  'true',
  '1e999',
  '-0',
  '9007199254740993',
  '\u2028',
  '\u0085',
  '\ufeff',
  '\u200b',
  '\u2060',
  '\u202e',
  '\u{1F5FC}',
  '__proto__',
  'constructor',
  'data: ',
  'data: [DONE]\n\n',
  'event: x\n',
].map(bytesOf)
const BROKEN = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x80]].map(b =>
  Uint8Array.from(b),
)

export function mutate(
  input: Uint8Array,
  others: readonly Uint8Array[],
  words: readonly string[],
  random: Random,
): Uint8Array {
  let bytes = Buffer.from(input)
  for (let n = 1 + random.below(4); n > 0; n -= 1) bytes = once(bytes, others, words, random)
  return new Uint8Array(bytes.subarray(0, LONGEST))
}

function once(
  bytes: Buffer,
  others: readonly Uint8Array[],
  words: readonly string[],
  random: Random,
): Buffer<ArrayBuffer> {
  const at = random.below(bytes.length + 1)
  const to = Math.min(bytes.length, at + 1 + random.below(random.chance(3) ? 200 : 8))
  const put = (middle: Uint8Array, until = at) => Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(until)])
  switch (random.below(9)) {
    case 0: {
      const flipped = Buffer.from(bytes)
      if (flipped.length > 0)
        flipped[at % flipped.length] = (flipped[at % flipped.length] ?? 0) ^ (1 << random.below(8))
      return flipped
    }
    case 1:
      return put(Uint8Array.of(random.below(256)), Math.min(bytes.length, at + random.below(2)))
    case 2:
      return put(new Uint8Array(0), to)
    case 3:
      return put(bytes.subarray(at, to))
    case 4:
      return put(random.pick(HOSTILE))
    case 5:
      return put(random.pick(BROKEN))
    case 6: {
      const other = others.length === 0 ? bytes : random.pick(others)
      const from = random.below(other.length)
      return put(other.subarray(from, from + random.below(200)), random.chance(2) ? to : at)
    }
    case 7:
      return words.length === 0
        ? put(random.pick(HOSTILE))
        : put(bytesOf(random.pick(words)), random.chance(2) ? to : at)
    default: {
      // A long run of one thing: nesting, blanks, digits.
      const what = bytes.subarray(at, Math.min(to, at + 4))
      return put(Buffer.alloc(random.below(2000), what.length === 0 ? '[' : what))
    }
  }
}
