/**
 * Reading the options of a check. Options come from the operator's own configuration, often from plain JavaScript, so
 * every value is tested and a wrong one is a one-line error that names the setting, what came and what to write.
 */
import type { MaybeAsync } from '../core/check.ts'
import type { Stage } from '../core/verdict.ts'

/** What every built-in check takes besides its own options. */
export interface CommonOptions {
  /** Decide and record, never enforce. Default false. */
  readonly shadow?: boolean
  /** Lower runs first. */
  readonly priority?: number
  /** Bounds asynchronous work, in milliseconds. Default 5,000. */
  readonly timeLimitMs?: number
}

export interface Common {
  readonly shadow: boolean
  readonly priority: number
  readonly timeLimitMs: number
}

const COMMON = ['shadow', 'priority', 'timeLimitMs'] as const

export class CheckOptions {
  readonly #check: string
  readonly #given: Readonly<Record<string, unknown>>

  constructor(check: string, options: unknown, known: readonly string[]) {
    this.#check = check
    if (options === null || typeof options !== 'object' || Array.isArray(options)) {
      throw new TypeError(`${check}: expected an object of options, got ${shown(options)}`)
    }
    this.#given = { ...options }
    const allowed = [...known, ...COMMON]
    for (const key of Object.keys(this.#given)) {
      if (allowed.includes(key)) continue
      throw new TypeError(`${check}: unknown option ${shown(key)}; the options are ${allowed.join(', ')}`)
    }
  }

  common(priority: number): Common {
    return {
      shadow: this.flag('shadow', false),
      priority: this.number('priority', priority, Number.NEGATIVE_INFINITY),
      timeLimitMs: this.whole('timeLimitMs', 5_000, 1),
    }
  }

  given(key: string): boolean {
    return this.#given[key] !== undefined
  }

  raw(key: string): unknown {
    return this.#given[key]
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.#given[key] ?? fallback
    if (typeof value !== 'boolean') throw this.wrong(key, 'true or false', value)
    return value
  }

  number(key: string, fallback: number, least: number): number {
    const value = this.#given[key] ?? fallback
    if (typeof value !== 'number' || !Number.isFinite(value) || value < least) {
      throw this.wrong(key, Number.isFinite(least) ? `a number >= ${least}` : 'a number', value)
    }
    return value
  }

  whole(key: string, fallback: number | undefined, least: number): number {
    const value = this.#given[key] ?? fallback
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) {
      throw this.wrong(key, `a whole number >= ${least}`, value)
    }
    return value
  }

  choice<T extends string>(key: string, fallback: T, choices: readonly T[]): T {
    const value = this.#given[key] ?? fallback
    const found = choices.find(choice => choice === value)
    if (found === undefined) throw this.wrong(key, `one of ${choices.map(choice => `'${choice}'`).join(', ')}`, value)
    return found
  }

  text(key: string, fallback: string): string {
    const value = this.#given[key] ?? fallback
    if (typeof value !== 'string' || value === '') throw this.wrong(key, 'a non-empty string', value)
    return value
  }

  strings(key: string): readonly string[] {
    const value = this.#given[key] ?? []
    if (!Array.isArray(value)) throw this.wrong(key, 'a list of strings', value)
    return value.map((item, index) => {
      if (typeof item !== 'string' || item === '') throw this.wrong(`${key}[${index}]`, 'a non-empty string', item)
      return item
    })
  }

  wrong(key: string, expected: string, got: unknown): TypeError {
    return new TypeError(`${this.#check}: ${key} must be ${expected}, got ${shown(got)}`)
  }
}

/** The head of every check's description. */
export function description(
  name: string,
  stages: readonly Stage[],
  common: Common,
  options: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return {
    name,
    stages,
    priority: common.priority,
    timeLimitMs: common.timeLimitMs,
    shadow: common.shadow,
    options,
  }
}

/** A value in an error: short, one line, and only of the plain kinds. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `'${printable(value, 40)}'`
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return 'a list'
  if (value !== null && typeof value === 'object') return 'an object'
  return value === undefined ? 'nothing' : String(value)
}

/** Text from outside in a reason: printable ASCII, the rest escaped, at most `max` characters. */
export function printable(text: string, max = 64): string {
  let out = ''
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0
    const next = code >= 0x20 && code <= 0x7e ? char : `\\u{${code.toString(16)}}`
    if (out.length + next.length > max - 3) return `${out}...`
    out += next
  }
  return out
}

/** A number in a row: canonical rows hold safe integers only, so anything else goes as text. */
export function rowNumber(value: number): number | string {
  return Number.isSafeInteger(value) ? value : String(value)
}

export function isPromise<T>(value: MaybeAsync<T>): value is Promise<T> {
  return value instanceof Promise || (typeof value === 'object' && value !== null && 'then' in value)
}

/** The class of an error, for a row. Never its message: a driver's message can hold an address or a password. */
export function errorClass(error: unknown): string {
  return error instanceof Error ? printable(error.name, 64) : typeof error
}

/** What a description calls a state driver. */
export function driverName(state: object): string {
  return typeof state.constructor === 'function' ? state.constructor.name : 'custom'
}
