/** Who outside vouches for the transparency log: its witnesses, and authorities that stamp its checkpoints with a time. */
import { readOperatorFile } from './operator-file.ts'
import type { SettingName, Settings } from './setting-table.ts'
import { readAuthorities } from './tls.ts'

export interface LogOutside {
  /** The text of the policy file. */
  readonly witnessPolicy: string | undefined
  readonly anchors: AnchorSetting | undefined
}

export interface AnchorSetting {
  readonly urls: readonly string[]
  /** PEM. */
  readonly roots: string
  /** The policy to ask for and to insist on. */
  readonly policy: string | undefined
  readonly intervalS: number
  /** After so many rows even before the interval is over. */
  readonly everyRows: number | undefined
}

interface Resolving {
  readonly name: (setting: SettingName) => string
  readonly attempt: <T>(setting: SettingName, read: () => T) => T | undefined
  readonly problem: (text: string) => void
}

export function resolveLogOutside(chosen: Settings, { name, attempt, problem }: Resolving): LogOutside {
  const { witnessPolicyFile, anchorUrls, anchorCaFile } = chosen
  if (!chosen.transparencyLog) {
    for (const setting of ['witnessPolicyFile', 'anchorUrls'] as const) {
      if (chosen[setting] !== undefined && chosen[setting].length > 0)
        problem(`${name(setting)}: set, but transparencyLog is off; turn it on, or remove this`)
    }
  }
  const witnessPolicy =
    witnessPolicyFile === undefined
      ? undefined
      : attempt('witnessPolicyFile', () => Buffer.from(readOperatorFile(witnessPolicyFile)).toString('utf8'))
  if (anchorUrls.length === 0) {
    for (const setting of ['anchorCaFile', 'anchorPolicy', 'anchorEveryRows'] as const) {
      if (chosen[setting] !== undefined)
        problem(`${name(setting)}: set without anchorUrls; set that too, or remove this`)
    }
    return { witnessPolicy, anchors: undefined }
  }
  if (new Set(anchorUrls.map(url => new URL(url).host)).size < anchorUrls.length)
    problem(`${name('anchorUrls')}: names one host twice; anchors are kept under the host, give each authority once`)
  if (anchorCaFile === undefined) {
    problem(
      `${name('anchorCaFile')}: not set, and anchors are worth what their authorities are; set it to the PEM of the roots that issue time-stamping certificates`,
    )
    return { witnessPolicy, anchors: undefined }
  }
  const roots = attempt('anchorCaFile', () => readAuthorities(anchorCaFile, 'time-stamping certificates'))
  if (roots === undefined) return { witnessPolicy, anchors: undefined }
  return {
    witnessPolicy,
    anchors: {
      urls: anchorUrls,
      roots,
      policy: chosen.anchorPolicy,
      intervalS: chosen.anchorIntervalS,
      everyRows: chosen.anchorEveryRows,
    },
  }
}
