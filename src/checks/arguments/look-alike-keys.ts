/**
 * Keys of arguments that another reader could take for one that the policy judges. Go's encoding/json and .NET's binders
 * match names without regard to case, and some readers normalise them: they would act on `Amount` while `amount` was judged.
 * Beside a key that the policy names, one in look-alike letters is refused too: a human who approves would read it as that.
 */
import { caseless } from '../../text/caseless.ts'
import { fold } from '../../text/fold.ts'

/** The keys that a policy names, place by place. */
export interface NamedKeys {
  readonly members: Map<string, NamedKeys>
  /** The members as other readers could spell them: made once, not for each object that is judged. */
  readonly spellings: Set<string>
  /** What is said of every member of an array here. */
  items: NamedKeys | undefined
}

export function namedKeys(): NamedKeys {
  return { members: new Map(), spellings: new Set(), items: undefined }
}

export function memberOf(at: NamedKeys, key: string): NamedKeys {
  const known = at.members.get(key)
  if (known !== undefined) return known
  const made = namedKeys()
  name(at, key, made)
  return made
}

/** A number in a pointer is a member of a list or a key of an object, whichever is there. */
export function memberOrItemOf(at: NamedKeys, key: string): NamedKeys {
  const items = itemsOf(at)
  if (!at.members.has(key)) name(at, key, items)
  return items
}

function name(at: NamedKeys, key: string, member: NamedKeys): void {
  at.members.set(key, member)
  at.spellings.add(caseless(key)).add(fold(key).lower)
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
  const spelled = new Set<string>()
  for (const [key, member] of members) {
    // In many readers it changes what an object is, or is silently dropped.
    if (key === '__proto__') return 'prototype_key'
    // Two spellings that the policy itself tells apart are two names.
    if (named?.members.has(key) !== true) {
      const folded = caseless(key)
      if (spelled.has(folded)) return 'look_alike_key'
      if (named?.spellings.has(folded) === true || named?.spellings.has(fold(key).lower) === true)
        return 'look_alike_key'
      spelled.add(folded)
    }
    const problem = keyProblem(member, named?.members.get(key))
    if (problem !== undefined) return problem
  }
  return undefined
}
