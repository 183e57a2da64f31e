/** The limits of tools as configured: read and checked once, at start. */
import { isRecord } from './arguments/json-value.ts'
import type { CheckOptions } from './options.ts'

export interface ToolLimitsOptions {
  /** So many calls of the tool by one owner in each window; windows are aligned to the epoch. */
  readonly rate?: { readonly calls: number; readonly perSeconds: number }
  /** Not the same tool with the same arguments by the same owner, until so much time has passed since the last that was let through. */
  readonly duplicates?: { readonly withinSeconds: number }
  /** So many calls of the tool in one session of an owner in each window. Without a session: of the owner's calls without one. */
  readonly loop?: { readonly calls: number; readonly perSeconds: number }
  /** Not when the conversation in the request already holds so many calls of this tool with these arguments. */
  readonly repeats?: number
}

export interface Windowed {
  readonly calls: number
  readonly perSeconds: number
}

export interface ToolLimits {
  readonly rate: Windowed | null
  readonly duplicates: { readonly withinSeconds: number } | null
  readonly loop: Windowed | null
  readonly repeats: number | null
}

const MEMBERS = ['rate', 'duplicates', 'loop', 'repeats']
/** 366 days. */
const LONGEST_S = 31_622_400

/** A map: a tool named `constructor` has limits only if somebody gave it some. */
export function readToolLimits(read: CheckOptions): ReadonlyMap<string, ToolLimits> {
  const given = read.raw('tools') ?? {}
  if (!isRecord(given)) {
    throw read.wrong('tools', 'an object of tool name to limits, e.g. { refund: { repeats: 3 } }', given)
  }
  const tools = new Map<string, ToolLimits>()
  for (const [tool, limits] of Object.entries(given)) {
    const at = `tools[${JSON.stringify(tool)}]`
    if (tool === '') throw read.wrong(at, 'the name of a tool', tool)
    if (tool.startsWith('upstream:')) {
      throw read.wrong(at, 'left out: upstream runs the tool, and may do so before its calls are seen here', tool)
    }
    tools.set(tool, readLimits(read, at, limits))
  }
  return tools
}

function readLimits(read: CheckOptions, at: string, given: unknown): ToolLimits {
  if (!isRecord(given))
    throw read.wrong(at, 'an object of limits, e.g. { rate: { calls: 5, perSeconds: 3600 } }', given)
  const unknown = Object.keys(given).find(key => !MEMBERS.includes(key))
  if (unknown !== undefined) throw read.wrong(at, `made of ${MEMBERS.join(', ')} only`, unknown)
  const { rate, duplicates, loop, repeats } = given
  if (Object.values(given).every(value => value === undefined)) {
    throw read.wrong(at, `given at least one of ${MEMBERS.join(', ')}`, undefined)
  }
  return Object.freeze({
    rate: rate === undefined ? null : readWindow(read, `${at}.rate`, rate),
    duplicates: duplicates === undefined ? null : readWithin(read, `${at}.duplicates`, duplicates),
    loop: loop === undefined ? null : readWindow(read, `${at}.loop`, loop),
    repeats: repeats === undefined ? null : whole(read, `${at}.repeats`, repeats, 1, 100_000),
  })
}

function readWindow(read: CheckOptions, at: string, given: unknown): Windowed {
  const { calls, perSeconds } = membersOf(read, at, given, ['calls', 'perSeconds'])
  return {
    calls: whole(read, `${at}.calls`, calls, 0, 1_000_000_000),
    perSeconds: whole(read, `${at}.perSeconds`, perSeconds, 1, LONGEST_S),
  }
}

function readWithin(read: CheckOptions, at: string, given: unknown): { readonly withinSeconds: number } {
  const { withinSeconds } = membersOf(read, at, given, ['withinSeconds'])
  return { withinSeconds: whole(read, `${at}.withinSeconds`, withinSeconds, 1, LONGEST_S) }
}

function membersOf(
  read: CheckOptions,
  at: string,
  given: unknown,
  members: readonly string[],
): Readonly<Record<string, unknown>> {
  if (!isRecord(given) || Object.keys(given).some(key => !members.includes(key))) {
    throw read.wrong(at, `an object of ${members.join(' and ')}`, given)
  }
  return given
}

function whole(read: CheckOptions, at: string, given: unknown, least: number, most: number): number {
  if (typeof given === 'number' && Number.isSafeInteger(given) && given >= least && given <= most) return given
  throw read.wrong(at, `a whole number from ${least} to ${most}`, given)
}
