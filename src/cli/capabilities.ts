/** The key of capabilities and the store of their uses, for a gate some of whose tools have an audience. */
import { ConfigError } from '../config/problem.ts'
import type { Resolved } from '../config/resolve.ts'
import type { Check } from '../core/check.ts'
import type { CapabilityOptions } from '../gate/start.ts'
import { SigningKey } from '../keys/signing.ts'
import { ScheduledSigners, type SigningKeys } from '../keys/signing-keys.ts'
import type { OnStoreState } from '../state/store-thread.ts'
import type { GateKeys } from './gate-keys.ts'
import { signingKeyOf } from './signing-file.ts'

/** `undefined`: no tool has an audience, and none is issued. */
export async function openCapabilities(
  { settings, dev }: Resolved,
  checks: readonly Check[],
  keys: Pick<GateKeys, 'kept'>,
  onState: OnStoreState = () => undefined,
): Promise<(CapabilityOptions & { readonly signer: SigningKeys }) | undefined> {
  const executors = Object.keys(settings.redeemers)
  if (!checks.some(check => check.audience?.any === true)) {
    // A protection that somebody believes is there.
    if (executors.length > 0 || settings.capabilityKeyFile !== undefined)
      throw new ConfigError([
        `${executors.length > 0 ? 'redeemers' : 'capabilityKeyFile'}: set, and no tool has an audience, so no capability is issued; give one in the registry of tool_call_inspector, or remove this`,
      ])
    return undefined
  }
  const options = { signer: signer(), issuer: settings.issuer, ttlS: settings.capabilityTtlS }
  if (executors.length === 0) return options
  const { openSqliteRedemptions } = await import('../state/redemptions/sqlite-thread.ts')
  const path = settings.redemptionStorePath ?? `${settings.auditLogPath}.redemptions.db`
  return { ...options, redeemers: settings.redeemers, redemptions: await openSqliteRedemptions(path, { onState }) }

  function signer(): ScheduledSigners {
    if (settings.capabilityKeyFile !== undefined) return ScheduledSigners.of(signingKeyOf(settings.capabilityKeyFile))
    if (dev || settings.keyFolder !== undefined) return keys.kept('capabilities')
    if (settings.allowEphemeralKey) return ScheduledSigners.of(SigningKey.generate())
    throw new ConfigError([
      'SIGNET_CAPABILITY_KEY_FILE: not set, and a tool has an audience, so capabilities need a signing key; run "signet keys generate --kind ed25519 --out capability-key.pem" and set it, or set SIGNET_KEY_FOLDER',
    ])
  }
}
