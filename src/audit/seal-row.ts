/**
 * A row with its personal fields sealed: owner, approvers, the caller's address and session name; and wherever else a check
 * or a caller wrote the owner's or an approver's name.
 *
 * Guarantees: the name of the owner, of an approver, and the address and session are in no field of the sealed row as they
 * were; digests and the gate's own words stay. Does not: recognise a name that was written otherwise (translated, abbreviated, hashed), or a name of fewer than four
 * characters inside a longer word.
 */
import type { MetaValue, Row } from '../core/row.ts'
import { OWN_CHECK } from './own-rows.ts'
import type { Opened, OwnerSealer, SealingFolder } from './seal.ts'
import type { StoredRow } from './stored.ts'

/** Personal by what they are, whatever they hold. */
const PERSONAL: ReadonlySet<string> = new Set(['_peer', '_session'])
/** The gate's own words and numbers; what a caller, a model or a check wrote is not among them. */
const FACTS: ReadonlySet<string> = new Set(
  `_stage _check_name _exchange_id _policy_digest _surface _code _stream _data_level _owner_authenticated_by _outcome
   _arguments_sha256 _response_sha256 _escalation_id _flag
   _evidence_sha256 _passkey_id _passkey_key_sha256`.split(/\s+/),
)
const HIDDEN = '[sealed]'
const SHORT = 4

export function sealRow(row: Row, sealer: OwnerSealer): Row {
  const { owner, entryId } = row
  // The log's own rows are about the log.
  if (row.checkName === OWN_CHECK) return row
  // Nobody answers for it: there is no one whose key it could be, and no name to hide.
  const person = owner.id === '' ? 'unresolved' : `${owner.type}:${owner.id}`
  const names = namesOf([owner.id, ...owner.approvalChain])
  return {
    ...row,
    owner: {
      ...owner,
      id: owner.id === '' ? '' : sealer.seal(person, owner.id, entryId, 'owner_id'),
      approvalChain: owner.approvalChain.map((approver, i) =>
        sealer.seal(approver, approver, entryId, `approval_chain/${i}`),
      ),
    },
    reason: hide(row.reason, names),
    metadata: Object.fromEntries(
      Object.entries(row.metadata).map(([key, value]) => {
        if (FACTS.has(key)) return [key, value]
        if (PERSONAL.has(key) && typeof value === 'string') {
          return [key, sealer.seal(person, value, entryId, `metadata/${key}`)]
        }
        return [hide(key, names), hideIn(value, names)]
      }),
    ),
  }
}

/** Puts `[sealed]` in the place of these names, wherever they stand in a text. */
export function hiderOf(people: readonly string[]): (text: string) => string {
  const names = namesOf(people)
  return text => hide(text, names)
}

/** Longest first: a name inside a longer one must not leave half of it. */
function namesOf(people: readonly string[]): readonly RegExp[] {
  const names = new Set<string>()
  for (const full of people) {
    names.add(full)
    names.add(full.slice(full.indexOf(':') + 1))
  }
  names.delete('')
  return [...names].sort((a, b) => b.length - a.length).map(pattern)
}

function pattern(name: string): RegExp {
  const literal = name.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
  return name.length < SHORT
    ? new RegExp(`(?<![\\p{L}\\p{N}_])${literal}(?![\\p{L}\\p{N}_])`, 'giu')
    : new RegExp(literal, 'giu')
}

function hide(text: string, names: readonly RegExp[]): string {
  let hidden = text
  for (const name of names) hidden = hidden.replace(name, HIDDEN)
  return hidden
}

function hideIn(value: MetaValue, names: readonly RegExp[]): MetaValue {
  if (typeof value === 'string') return hide(value, names)
  if (typeof value !== 'object' || value === null) return value
  if (isList(value)) return value.map(item => (typeof item === 'string' ? hide(item, names) : item))
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [hide(key, names), typeof item === 'string' ? hide(item, names) : item]),
  )
}

function isList(value: object): value is readonly string[] {
  return Array.isArray(value)
}

/** What people see in the place of a value whose key is gone, or that does not belong where it stands. */
export const ERASED = '[erased]'
export const INVALID = '[sealed]'

/** A stored row with what can be opened opened. */
export function unsealRow(row: StoredRow, folder: SealingFolder | undefined): StoredRow {
  const open = (text: string, field: string): string =>
    text.startsWith('sealed:v1:') ? shown(folder?.open(text, row.entryId, field) ?? { kind: 'invalid' }) : text
  return {
    ...row,
    ownerId: open(row.ownerId, 'owner_id'),
    approvalChain: row.approvalChain.map((approver, i) => open(approver, `approval_chain/${i}`)),
    metadata: new Map(
      [...row.metadata].map(([key, value]) => [
        key,
        typeof value === 'string' ? open(value, `metadata/${key}`) : value,
      ]),
    ),
  }
}

function shown(opened: Opened): string {
  switch (opened.kind) {
    case 'open':
      return opened.text
    case 'erased':
      return ERASED
    case 'invalid':
      return INVALID
  }
}
