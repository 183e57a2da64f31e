/** Passkeys of one process, gone with it: for gates in tests and programs of their own. */
import { StateFull } from '../../core/memory-state.ts'
import type { PasskeyStore, StoredPasskey } from '../../core/state.ts'

const MAX_INVITATIONS = 1_000

export class MemoryPasskeyStore implements PasskeyStore {
  readonly #passkeys = new Map<string, StoredPasskey>()
  readonly #evidence = new Map<string, Uint8Array>()
  readonly #invitations = new Map<string, { readonly ownerTag: string; readonly untilMs: number }>()

  add(passkey: StoredPasskey, invitation: string | undefined, most: number, nowMs: number) {
    if (this.#passkeys.has(passkey.id)) return 'taken'
    if (invitation !== undefined && !this.invited(invitation, passkey.ownerTag, nowMs)) return 'not_invited'
    if (this.of(passkey.ownerTag).length >= most) return 'too_many'
    if (invitation !== undefined) this.#invitations.delete(invitation)
    this.#passkeys.set(passkey.id, passkey)
    return 'added'
  }

  get(id: string): StoredPasskey | undefined {
    return this.#passkeys.get(id)
  }

  of(ownerTag: string): readonly StoredPasskey[] {
    return [...this.#passkeys.values()]
      .filter(p => p.ownerTag === ownerTag)
      .sort((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1))
  }

  replace(next: StoredPasskey): boolean {
    const known = this.#passkeys.get(next.id)
    if (known === undefined || known.version !== next.version - 1) return false
    this.#passkeys.set(next.id, { ...next, ownerTag: known.ownerTag, createdAtMs: known.createdAtMs })
    return true
  }

  remove(id: string): boolean {
    return this.#passkeys.delete(id)
  }

  invite(hash: string, ownerTag: string, untilMs: number, nowMs: number): void {
    for (const [known, each] of this.#invitations) if (each.untilMs <= nowMs) this.#invitations.delete(known)
    if (this.#invitations.size >= MAX_INVITATIONS)
      throw new StateFull(`no room for another invitation (${MAX_INVITATIONS} are open)`)
    this.#invitations.set(hash, { ownerTag, untilMs })
  }

  invited(hash: string, ownerTag: string, nowMs: number): boolean {
    const known = this.#invitations.get(hash)
    return known !== undefined && known.ownerTag === ownerTag && nowMs < known.untilMs
  }

  keep(escalation: string, evidence: Uint8Array): void {
    this.#evidence.set(escalation, evidence)
  }

  kept(escalation: string): Uint8Array | undefined {
    return this.#evidence.get(escalation)
  }

  close(): void {
    this.#passkeys.clear()
    this.#invitations.clear()
    this.#evidence.clear()
  }
}
