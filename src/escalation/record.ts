/** An escalation as a store keeps it: sealed JSON, beside what the store needs to find it. */

import { ownerString } from '../core/owner.ts'
import type { StoredEscalation } from '../core/state.ts'
import { type Box, SealBroken } from './box.ts'
import type { Escalation } from './escalation.ts'

const PURPOSE = 'escalation'

/** What was read, and which version of it a change must follow. */
export interface Read {
  readonly escalation: Escalation
  readonly version: number
}

export function toStored(box: Box, e: Escalation, version: number): StoredEscalation {
  return {
    id: e.id,
    ownerTag: box.tag(ownerString(e.owner)),
    state: e.state,
    createdAtMs: e.createdAtMs,
    expiresAtMs: keptUntil(e),
    version,
    // The version is sealed too: a record cannot stand beside the state of another.
    record: box.seal(`${PURPOSE} ${version}`, e.id, Buffer.from(JSON.stringify(e))),
  }
}

/** Throws `SealBroken` when the record is not what was sealed under this id, version and state. */
export function fromStored(box: Box, stored: StoredEscalation): Read {
  const plain = box.open(`${PURPOSE} ${stored.version}`, stored.id, stored.record)
  // What was authenticated is what `toStored` wrote: its shape needs no second proof.
  const escalation: Escalation = JSON.parse(Buffer.from(plain).toString())
  if (escalation.state !== stored.state || keptUntil(escalation) !== stored.expiresAtMs) {
    throw new SealBroken('the store says another state of an escalation than its sealed record')
  }
  return { escalation, version: stored.version }
}

/** A released answer may be read until its capabilities expire. */
function keptUntil(e: Escalation): number {
  return e.release?.untilMs ?? e.expiresAtMs
}
