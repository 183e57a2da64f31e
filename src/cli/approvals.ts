/** Who approves at a gate that is being started, how they prove who they are, and where what they are asked about is kept. */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { noteRow } from '../audit/own-rows.ts'
import { uuid7 } from '../audit/uuid.ts'
import { ConfigError } from '../config/problem.ts'
import type { Resolved } from '../config/resolve.ts'
import type { Access } from '../control/access.ts'
import type { Changes } from '../control/changes.ts'
import type { Check } from '../core/check.ts'
import type { AuditWriter } from '../core/row.ts'
import { createBox } from '../escalation/box.ts'
import type { Passkeys } from '../escalation/passkeys.ts'
import type { EscalationOptions } from '../gate/start.ts'
import { type ApiKeyOptions, hashOfApiKey, newApiKey } from '../identity/api-key.ts'
import { type IdentityPorts, openIdentity } from '../identity/open.ts'
import { createPrivate, KeyFolder, readPrivate } from '../keys/store.ts'
import type { OnStoreState } from '../state/store-thread.ts'
import { systemClock, systemRandom } from '../state/system.ts'
import { DEV_FOLDER } from './chain-keys.ts'

/** Whom `--dev` makes when nobody is named. */
export const DEV_APPROVER = 'human:approver@localhost'
const DEV_TOKEN = 'approver.token'

export interface Approvals {
  readonly escalations: EscalationOptions
  /** `undefined`: nobody can be known at the control plane. */
  readonly access: Access | undefined
  /** The file that holds the token of the approver `--dev` made. */
  readonly devToken: string | undefined
  /** Opens their store. `undefined`: none are in use. */
  readonly openPasskeys: (audit: AuditWriter) => Promise<Passkeys | undefined>
  /** The store's file, when it was made anew although its key shows that there was one: what was held in it is gone. */
  readonly storeLost: string | undefined
}

/** The file of a token that `--dev` made in this folder. */
export function devTokenPath(folder: string): string {
  return join(folder, DEV_FOLDER, DEV_TOKEN)
}

export async function openApprovals(
  { settings, dev, controlIdentity, passkeys }: Resolved,
  checks: readonly Check[],
  folder: string,
  ports: IdentityPorts,
  changes: Changes,
  onStoreState: OnStoreState = () => undefined,
): Promise<Approvals> {
  const devKey = dev && controlIdentity === undefined ? devApiKey(folder) : undefined
  const approvers = devKey === undefined || settings.approvers.length > 0 ? settings.approvers : [DEV_APPROVER]
  demandApprovers(checks, approvers, settings.approvalQuorum, settings.identity)
  demandPasskeys(checks, passkeys !== undefined)
  const setting = controlIdentity ?? (devKey === undefined ? undefined : { apiKey: devKey.identity(approvers) })
  let access: Access | undefined
  if (setting !== undefined) {
    const { createAccess } = await import('../control/access.ts')
    access = createAccess({
      identity: await openIdentity(setting, ports),
      viewers: settings.viewers,
      approvers,
      admins: settings.admins,
    })
  }
  const path = settings.escalationStorePath ?? `${settings.auditLogPath}.escalations.db`
  const { openSqliteEscalations } = await import('../state/escalations/sqlite-thread.ts')
  const storeLost = existsSync(`${path}.key`) && !existsSync(path) ? path : undefined
  const key = sealingKey(`${path}.key`)
  return {
    escalations: {
      policy: {
        approvers,
        ...(settings.approvalQuorum === undefined ? {} : { quorum: settings.approvalQuorum }),
        ...(settings.approverAuth === 'passkey' ? { auth: settings.approverAuth } : {}),
      },
      store: await openSqliteEscalations(path, {}, onStoreState),
      key,
      ttlMs: settings.escalationTtlS * 1000,
      onChange: changes.tell,
    },
    access,
    devToken: devKey?.path,
    storeLost,
    openPasskeys: async audit => {
      if (passkeys === undefined) return undefined
      const { Passkeys } = await import('../escalation/passkeys.ts')
      const { openSqlitePasskeys } = await import('../state/passkeys/sqlite-thread.ts')
      const { loadWebauthn } = await import('../escalation/assertion.ts')
      // Before a store is opened that nobody would close.
      await loadWebauthn()
      const random = systemRandom()
      return Passkeys.open({
        store: await openSqlitePasskeys(
          settings.passkeyStorePath ?? `${settings.auditLogPath}.passkeys.db`,
          onStoreState,
        ),
        box: createBox(key, random),
        audit,
        clock: systemClock,
        random,
        rp: passkeys,
        registration: settings.passkeyRegistration,
      })
    },
  }
}

/** A row, so that whoever asks later where a held call went finds when it was lost. */
export function noteLostStore(audit: AuditWriter, path: string, say: (text: string) => void): void {
  say(`${path} was gone and was made anew; whatever was held in it is lost, and its status is 404`)
  const row = noteRow(
    uuid7(BigInt(Date.now()), randomBytes),
    'escalation.store_lost',
    'the store of escalations was gone and was made anew; whatever was held in it is lost',
    { file: basename(path) },
  )
  audit
    .append(row)
    .durable()
    .catch(() => undefined)
}

/** Holding what nobody can approve is refusing late: an operator should know at start. */
function demandApprovers(
  checks: readonly Check[],
  approvers: readonly string[],
  quorum: number | undefined,
  identity: unknown,
): void {
  if (quorum !== undefined && quorum > approvers.length) {
    throw new ConfigError([`approvalQuorum: ${quorum} must approve, and ${approvers.length} may; name more approvers`])
  }
  if (approvers.length > 0 || claimsApprovers(identity)) return
  const asking = checks.find(check => check.canEscalate === true)
  if (asking === undefined) return
  throw new ConfigError([
    `approvers: ${asking.name} can hold calls for a human, and nobody may approve them; set approvers (SIGNET_APPROVERS=human:you@example.com) and controlIdentity, or use --dev`,
  ])
}

/** A tool that only a passkey can approve, where there are none, would be refused when somebody approves it: late. */
function demandPasskeys(checks: readonly Check[], inUse: boolean): void {
  const demanding = checks.find(check => check.approverAuth?.any === true)
  if (inUse || demanding === undefined) return
  throw new ConfigError([
    `passkeyRpId: not set, and ${demanding.name} has tools that are approved with a passkey only; set it to the host name of the page that asks for them`,
  ])
}

/** Does some credential name approvers? Who they are is seen with each request. */
function claimsApprovers(identity: unknown): boolean {
  return identity !== 'asserted' && JSON.stringify(identity).includes('"approvalChain"')
}

/** Kept beside the store: what is sealed with it outlives the process. */
function sealingKey(path: string): Uint8Array {
  const hex = (readPrivate(path) ?? createPrivate(path, () => `${randomBytes(32).toString('hex')}\n`)).trim()
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new ConfigError([`${path}: expected 64 hex digits; restore it from a backup`])
  return Buffer.from(hex, 'hex')
}

function devApiKey(folder: string) {
  // Makes the folder, and refuses one that others can write.
  new KeyFolder(join(folder, DEV_FOLDER))
  const path = devTokenPath(folder)
  const key = (readPrivate(path) ?? createPrivate(path, () => `${newApiKey(randomBytes).key}\n`)).trim()
  return {
    path,
    identity: (approvers: readonly string[]): ApiKeyOptions => ({
      keys: [{ hash: hashOfApiKey(key), owner: approvers[0] ?? DEV_APPROVER }],
    }),
  }
}
