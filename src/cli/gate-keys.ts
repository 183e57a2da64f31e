/**
 * The keys of a running gate: the ring of its chain and the keys of its receipts, from wherever the operator keeps them,
 * and kept up to date with the key folder while it runs.
 *
 * Guarantees: what is loaded is loaded whole, so a file that cannot be read, or a key that was lost or replaced, changes
 * nothing and is reported; a gate whose keys have ended does not start.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Resolved } from '../config/resolve.ts'
import type { Clock } from '../core/clock.ts'
import { refuseLoss } from '../keys/continuity.ts'
import { KeyError } from '../keys/error.ts'
import type { ExternalSigner } from '../keys/external-signer.ts'
import type { StoredKey } from '../keys/key-file.ts'
import { Key, KeyRing } from '../keys/ring.ts'
import { Schedule } from '../keys/schedule.ts'
import { SigningKey } from '../keys/signing.ts'
import { ScheduledSigners, type SigningKeys } from '../keys/signing-keys.ts'
import { KeyFolder, type KeyPurpose, macKeys, noKeyNow, signingKeys } from '../keys/store.ts'
import { type Watch, watchKeys } from '../keys/watch.ts'
import { keyFolderOf } from './chain-keys.ts'
import { signingKeyOf } from './signing-file.ts'

export interface GateKeys {
  readonly ring: KeyRing
  /** `undefined`: no receipts are issued. */
  readonly receipts: SigningKeys | undefined
  /** The audit key, when it dies with this process and was not given. */
  readonly ephemeralKey: { readonly id: string; readonly hex: string } | undefined
  /** The keys of another purpose, from the key folder; made on first use, and kept up to date. */
  kept(purpose: KeyPurpose): ScheduledSigners
  /** Looks for new keys now instead of within seconds. */
  look(): void
  close(): Promise<void>
}

export interface GateKeyPorts {
  readonly clock: Clock
  /** The project folder. */
  readonly folder: string
  /** For the operator: keys were loaded anew, or could not be; the signer process stopped or is back. */
  readonly onEvent: (ok: boolean, message: string) => void
  readonly environment: Readonly<Record<string, string | undefined>>
}

export async function openGateKeys(resolved: Resolved, ports: GateKeyPorts): Promise<GateKeys> {
  const { settings, hmacKey, receiptKey } = resolved
  const { clock, folder } = ports
  const path = keyFolderOf(settings, folder)
  const fromFolder = (source: string): boolean => source === 'kept in .signet' || source === 'in the key folder'
  let keyFolder = existsSync(path) ? new KeyFolder(path, { now: () => clock.now() }) : undefined

  const legacy = Object.entries(settings.hmacLegacyKeys).map(([id, hex]) => Key.fromHex(id, hex))
  /** What is read anew when the folder has changed; each gives what takes it over, once all could be read. */
  const reloads: (() => () => void)[] = []
  const { ring, ephemeralKey } = chain()
  const receipts = await receiptKeys()
  refuseEnded()

  let watch: Watch | undefined
  if (reloads.length > 0) watchFolder()
  return {
    ring,
    receipts: receipts.keys,
    ephemeralKey,
    kept: purpose => {
      const keys = signersOf(purpose)
      refuseEndedOf(purpose, keys)
      watchFolder()
      return keys
    },
    look: () => watch?.look(),
    close: async () => {
      watch?.close()
      await receipts.external?.close()
    },
  }

  function opened(): KeyFolder {
    keyFolder ??= new KeyFolder(path, { now: () => clock.now() })
    return keyFolder
  }

  function watchFolder(): void {
    const folder = opened()
    watch ??= watchKeys({
      clock,
      fingerprint: () => folder.fingerprint(),
      onChange: () => {
        for (const takeOver of reloads.map(read => read())) takeOver()
        ports.onEvent(true, 'the keys were read anew')
      },
      onTrouble: error =>
        ports.onEvent(false, `the keys could not be read anew, and those read before stay in use: ${lineOf(error)}`),
    })
  }

  function signersOf(purpose: KeyPurpose): ScheduledSigners {
    const folder = opened()
    const keys = folder.signers(purpose)
    keepUp(purpose, stored => keys.replace(signingKeys(stored)))
    return keys
  }

  function keepUp(purpose: KeyPurpose, replace: (stored: readonly StoredKey[]) => void): void {
    const folder = opened()
    let before = folder.keys(purpose)
    reloads.push(() => {
      const now = folder.keys(purpose)
      refuseLoss(purpose, before, now)
      return () => {
        replace(now)
        before = now
      }
    })
  }

  function chain(): { readonly ring: KeyRing; readonly ephemeralKey: GateKeys['ephemeralKey'] } {
    if (settings.hmacSecret !== undefined) {
      // Rows that --dev wrote, or the key folder's keys, before there was a key of one's own still have to verify.
      const known = new Set([settings.hmacKeyId, ...legacy.map(key => key.id)])
      const kept = keyFolder === undefined ? [] : macKeys(keyFolder.keys('chain')).map(({ key }) => key)
      const ring = new KeyRing(Key.fromHex(settings.hmacKeyId, settings.hmacSecret), [
        ...legacy,
        ...kept.filter(({ id }) => !known.has(id)),
      ])
      return { ring, ephemeralKey: undefined }
    }
    if (fromFolder(hmacKey)) {
      const folder = opened()
      const ring = folder.ring('chain', legacy)
      keepUp('chain', stored => ring.replace(macKeys(stored)))
      return { ring, ephemeralKey: undefined }
    }
    const id = `ephemeral-${randomBytes(4).toString('hex')}`
    const hex = randomBytes(32).toString('hex')
    return { ring: new KeyRing(Key.fromHex(id, hex), legacy), ephemeralKey: { id, hex } }
  }

  async function receiptKeys(): Promise<{
    readonly keys: SigningKeys | undefined
    readonly external?: ExternalSigner
  }> {
    if (receiptKey === 'off') return { keys: undefined }
    if (settings.receiptSigner !== undefined) {
      const { ExternalSigner } = await import('../keys/external-signer.ts')
      const external = await ExternalSigner.open(settings.receiptSigner, {
        clock,
        folder,
        environment: ports.environment,
        onState: ports.onEvent,
      })
      return { keys: external, external }
    }
    if (settings.receiptKeyFile !== undefined)
      return { keys: ScheduledSigners.of(signingKeyOf(settings.receiptKeyFile)) }
    return { keys: fromFolder(receiptKey) ? signersOf('receipts') : ScheduledSigners.of(SigningKey.generate()) }
  }

  function refuseEnded(): void {
    const now = clock.now()
    // Throws, and says how to go on.
    ring.at(BigInt(now) * 1_000_000n)
    if (receipts.keys === undefined) return
    if (receipts.external === undefined) refuseEndedOf('receipts', receipts.keys)
    else if (receipts.keys.at(now) === undefined)
      throw new KeyError('key_not_valid', 'the signer process announced no receipt key that is valid now')
  }

  function refuseEndedOf(purpose: KeyPurpose, keys: SigningKeys): void {
    const now = clock.now()
    if (keys.at(now) !== undefined) return
    const ended = new Schedule(opened().keys(purpose)).begunBy(now)
    throw new KeyError('key_not_valid', noKeyNow(purpose, ended?.id, ended?.notAfter))
  }
}

function lineOf(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'unknown error'
}
