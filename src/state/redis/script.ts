/**
 * One operation is one Lua script on one key: Redis runs it alone, and a cluster needs no more than that key's slot.
 * Sent by its digest (EVALSHA), in full only when the server does not know it (after a restart or SCRIPT FLUSH); a
 * script that is not known has not run.
 */
import { hash } from 'node:crypto'
import { type RedisLink, RedisRefused } from './link.ts'

export interface Script {
  readonly source: string
  /** SHA-1 (hex), as Redis names scripts. */
  readonly id: string
}

/**
 * A Lua expression for the milliseconds since the epoch. The server's own clock: gates whose clocks disagree then still
 * mean the same moment.
 */
export const SERVER_TIME =
  "(function() local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000) end)()"

/**
 * What stands in every script: `now`, `number` (a stored number, or nil), `text` (17 digits bring a double back
 * exactly) and `corrupt`, for a value that is none of ours. It is an error and not a fresh start: a limit would be
 * forgotten by writing nonsense over it.
 */
function prelude(clock: string): string {
  return `local now = ${clock}
local function number(s)
  local n = s and tonumber(s)
  if n and n >= 0 and n < math.huge then return n end
  return nil
end
local function text(n) return string.format('%.17g', n) end
local function corrupt() return redis.error_reply('CORRUPT the stored value is not one of signet') end
`
}

export function script(body: string, clock: string): Script {
  const source = prelude(clock) + body
  return { source, id: hash('sha1', source, 'hex') }
}

/** `late`: told of an answer that comes after the time limit. */
export async function run(
  link: RedisLink,
  { source, id }: Script,
  key: string,
  args: readonly (string | number)[],
  late?: (reply: unknown) => void,
): Promise<unknown> {
  const rest = ['1', key, ...args.map(String)]
  try {
    return await link.send(['EVALSHA', id, ...rest], late)
  } catch (error) {
    if (!(error instanceof RedisRefused && error.code === 'NOSCRIPT')) throw error
    return await link.send(['EVAL', source, ...rest], late)
  }
}

/** The server answered with something no script of ours returns: somebody between, or another version of the script. */
export class RedisNonsense extends Error {
  override readonly name = 'RedisNonsense'
}

export function asNumber(value: unknown): number {
  const n = typeof value === 'string' && value !== '' ? Number(value) : value
  if (typeof n !== 'number' || !Number.isFinite(n)) throw new RedisNonsense('expected a number from Redis')
  return n
}

export function asList(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new RedisNonsense('expected a list from Redis')
  return value
}
