/** What is fuzzed: one parser with what must hold for any bytes, and where its inputs come from. */
import type { Random } from './random.ts'

/** One input, by the name it is kept under. */
export interface Entry {
  readonly name: string
  readonly bytes: Uint8Array
}

export interface Target {
  readonly name: string
  /** Throws when something that must hold does not. A refusal by the parser is not a failure. */
  check(bytes: Uint8Array): void | Promise<void>
  /** An input of the right shape; mutation makes the wrong ones. */
  build(random: Random): Uint8Array
  /** Words that the format gives a meaning: mutation inserts them. */
  readonly words?: readonly string[]
  /** Inputs that are kept elsewhere, beside those of `corpus/<name>/`. */
  readonly seeds?: () => readonly Entry[]
}

export class Broken extends Error {
  override readonly name = 'Broken'
}

export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Broken(what)
}

export function equal(a: unknown, b: unknown, what: string): void {
  const [left, right] = [show(a), show(b)]
  if (left !== right) throw new Broken(`${what}: ${left.slice(0, 400)} is not ${right.slice(0, 400)}`)
}

/** Runs `parse`; a throw of one of `kinds` is a refusal, of anything else a failure. */
export function refusing<T>(parse: () => T, ...kinds: readonly (new (...args: never[]) => Error)[]): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (kinds.some(kind => error instanceof kind)) {
      must(error instanceof Error && !/[\r\n]/.test(error.message), 'an error message is one line')
      return undefined
    }
    throw error
  }
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export const bytesOf = (text: string): Uint8Array => encoder.encode(text)
/** Ill-formed input becomes U+FFFD: for parsers that take text. */
export const textOf = (bytes: Uint8Array): string => decoder.decode(bytes)

function show(value: unknown): string {
  return (
    JSON.stringify(value, (_key, v: unknown) => {
      if (typeof v === 'bigint') return `${v}n`
      if (v instanceof Map) return { map: [...v] }
      if (v instanceof Uint8Array) return { bytes: Buffer.from(v).toString('base64') }
      return Object.is(v, -0) ? '-0' : v
    }) ?? 'undefined'
  )
}
