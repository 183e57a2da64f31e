/**
 * Keys of arguments that another reader could take for one that the policy judges. Go's encoding/json and .NET's binders
 * match names without regard to case, and some readers normalise them: they would act on `Amount` while `amount` was judged.
 */
import { fold as foldText } from '../../text/fold.ts'

/** The keys that a policy names, place by place. */
export interface NamedKeys {
  readonly members: Map<string, NamedKeys>
  /** What is said of every member of an array here. */
  items: NamedKeys | undefined
}

export function namedKeys(): NamedKeys {
  return { members: new Map(), items: undefined }
}

export function memberOf(at: NamedKeys, key: string): NamedKeys {
  const known = at.members.get(key)
  if (known !== undefined) return known
  const made = namedKeys()
  at.members.set(key, made)
  return made
}

export function itemsOf(at: NamedKeys): NamedKeys {
  at.items ??= namedKeys()
  return at.items
}

export type KeyProblem = 'prototype_key' | 'look_alike_key'

/** Linear in the arguments: one look at each key. */
export function keyProblem(value: unknown, named: NamedKeys | undefined): KeyProblem | undefined {
  if (Array.isArray(value)) {
    for (const item of value) {
      const problem = keyProblem(item, named?.items)
      if (problem !== undefined) return problem
    }
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const members: readonly (readonly [string, unknown])[] = Object.entries(value)
  const spelled = new Map<string, string>()
  if (named !== undefined) for (const key of named.members.keys()) spelled.set(fold(key), key)
  for (const [key, member] of members) {
    // In many readers it changes what an object is, or is silently dropped.
    if (key === '__proto__') return 'prototype_key'
    // Two spellings that the policy itself tells apart are two names.
    if (named?.members.has(key) !== true) {
      const folded = fold(key)
      if (spelled.has(folded) || (named !== undefined && looksNamed(key, named))) return 'look_alike_key'
      spelled.set(folded, key)
    }
    const problem = keyProblem(member, named?.members.get(key))
    if (problem !== undefined) return problem
  }
  return undefined
}

/** No reader takes a Cyrillic letter for a Latin one, but people who approve do. Only beside a named key: data may be in any script. */
function looksNamed(key: string, { members }: NamedKeys): boolean {
  if (ASCII.test(key)) return false
  const { lower } = foldText(key)
  for (const name of members.keys()) if (foldText(name).lower === lower) return true
  return false
}

const ASCII = /^[\x20-\x7e]*$/

/** Like Unicode's NFKC_Casefold, with upper-casing (a long or a dotless letter); ASCII keeps to the short way. */
function fold(key: string): string {
  if (ASCII.test(key)) return key.toLowerCase()
  return key
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .normalize('NFKC')
    .toUpperCase()
    .toLowerCase()
    .normalize('NFKC')
}
