/** Bodies of the API: strict JSON objects, with the members that are known and no other. */
import { isFault, readJson, toValue } from '../dialects/json.ts'
import type { ControlRequest } from './listener.ts'

export type Members = Readonly<Record<string, unknown>>

/** The members, or what is wrong with it. */
export async function readMembers(request: ControlRequest, ...known: readonly string[]): Promise<Members | string> {
  const doc = readJson(await request.body())
  if (isFault(doc)) return `expected a JSON object (${doc.code})`
  const value = toValue(doc.root)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'expected a JSON object'
  const members: Members = { __proto__: null, ...value }
  const unknown = Object.keys(members).find(name => !known.includes(name))
  return unknown === undefined ? members : `expected nothing but ${known.join(', ')}`
}

/** Text of at most so many characters that is not blank; `undefined` where it is absent. */
export function optionalText(members: Members, name: string, most: number): string | undefined | { problem: string } {
  const value = members[name]
  if (value === undefined) return undefined
  if (typeof value === 'string' && value.trim() !== '' && value.length <= most && value.isWellFormed()) return value
  return { problem: `${name}: expected text of at most ${most} characters` }
}
