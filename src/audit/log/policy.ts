/**
 * Trust policies (https://c2sp.org/tlog-policy): which logs are known, which witnesses, and how many of them must have
 * cosigned a checkpoint.
 *
 * Guarantees: a file that the format does not allow is refused with the number of the line. Names have no meaning
 * outside the file. Keys count by their bytes: one key under two names is refused.
 */

import { same } from './bytes.ts'
import { LogInvalid } from './errors.ts'
import { ED25519, type NoteKey, parseKey } from './note.ts'

export interface PolicyWitness {
  readonly name: string
  readonly key: NoteKey
  /** The submission prefix of the witness protocol. */
  readonly url: string | undefined
}

export interface PolicyLog {
  readonly key: NoteKey
  readonly url: string | undefined
}

/** How much cosigning is enough: a witness, or so many of the members. */
export type Quorum =
  | { readonly kind: 'none' }
  | { readonly kind: 'witness'; readonly name: string }
  | { readonly kind: 'group'; readonly threshold: number; readonly members: readonly Quorum[] }

export interface Policy {
  readonly logs: readonly PolicyLog[]
  readonly witnesses: readonly PolicyWitness[]
  readonly quorum: Quorum
}

const MAX_POLICY = 1_000_000

/** Rejects with `policy_invalid`. */
export async function parsePolicy(text: string): Promise<Policy> {
  if (text.length > MAX_POLICY) throw new LogInvalid('policy_invalid', `expected at most ${MAX_POLICY} characters`)
  const logs: PolicyLog[] = []
  const witnesses: PolicyWitness[] = []
  const defined = new Map<string, Quorum>()
  const used = new Set<string>()
  let quorum: Quorum | undefined
  for (const [i, line] of text.split('\n').entries()) {
    const wrong = (expected: string) => new LogInvalid('policy_invalid', `policy line ${i + 1}: expected ${expected}`)
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(line)) throw wrong('no control characters but tab and newline')
    const items = line.split(/[ \t]+/).filter(item => item !== '')
    const [keyword, ...rest] = items
    if (keyword === undefined || keyword.startsWith('#')) continue
    switch (keyword) {
      case 'log': {
        const [vkey, url, ...more] = rest
        if (vkey === undefined || more.length > 0) throw wrong('log <vkey> [<url>]')
        const key = await readKey(vkey, wrong)
        if (key.type !== ED25519) throw wrong("a log's key to have type 1; this is a witness's")
        if (logs.some(log => same(log.key.publicKey, key.publicKey))) throw wrong('each log key once')
        logs.push({ key, url })
        break
      }
      case 'witness': {
        const [name, vkey, url, ...more] = rest
        if (name === undefined || vkey === undefined || more.length > 0) throw wrong('witness <name> <vkey> [<url>]')
        define(name, { kind: 'witness', name }, wrong)
        const key = await readKey(vkey, wrong)
        if (witnesses.some(witness => same(witness.key.publicKey, key.publicKey))) throw wrong('each witness key once')
        witnesses.push({ name, key, url })
        break
      }
      case 'group': {
        const [name, count, ...members] = rest
        if (name === undefined || count === undefined || members.length === 0) {
          throw wrong('group <name> all|any|<k> <name>...')
        }
        const resolved = members.map(member => {
          const found = defined.get(member)
          if (found === undefined) throw wrong(`members to be named on lines before; ${member} is not`)
          if (used.has(member)) throw wrong(`each name to be a member once; ${member} is one twice`)
          used.add(member)
          return found
        })
        const threshold = thresholdOf(count, members.length)
        if (threshold === undefined) throw wrong(`all, any, or a number from 1 to ${members.length}`)
        define(name, { kind: 'group', threshold, members: resolved }, wrong)
        break
      }
      case 'quorum': {
        const [name, ...more] = rest
        if (name === undefined || more.length > 0) throw wrong('quorum <name>|none')
        if (quorum !== undefined) throw wrong('one quorum line only')
        quorum = name === 'none' ? { kind: 'none' } : defined.get(name)
        if (quorum === undefined) throw wrong(`the quorum to be named on a line before; ${name} is not`)
        break
      }
      default:
        throw wrong('log, witness, group or quorum')
    }
  }
  if (quorum === undefined) throw new LogInvalid('policy_invalid', 'expected a policy to have a quorum line')
  return { logs, witnesses, quorum }

  function define(name: string, value: Quorum, wrong: (expected: string) => LogInvalid): void {
    if (name === 'none') throw wrong('another name than none, which has a meaning of its own')
    if (defined.has(name)) throw wrong(`each name to be defined once; ${name} is defined already`)
    defined.set(name, value)
  }
}

/** Whether cosignatures of these witnesses (by their names in the policy) are enough. */
export function meets(quorum: Quorum, cosigned: ReadonlySet<string>): boolean {
  switch (quorum.kind) {
    case 'none':
      return true
    case 'witness':
      return cosigned.has(quorum.name)
    case 'group':
      return quorum.members.filter(member => meets(member, cosigned)).length >= quorum.threshold
  }
}

async function readKey(vkey: string, wrong: (expected: string) => LogInvalid): Promise<NoteKey> {
  try {
    return await parseKey(vkey)
  } catch (error) {
    throw wrong(`a usable key (${error instanceof Error ? error.message : 'it is not one'})`)
  }
}

function thresholdOf(text: string, members: number): number | undefined {
  if (text === 'any') return 1
  if (text === 'all') return members
  if (!/^[1-9][0-9]{0,5}$/.test(text)) return undefined
  return Number(text) <= members ? Number(text) : undefined
}
