/**
 * Files that decide what the gate runs and enforces: `pipeline.ts`, which is code, and `.env`. Both are looked for in the
 * working folder, so whoever can put or change one there would command the gate.
 *
 * Guarantees, on POSIX: nobody but its owner can write the file, and its owner is root, this user, whoever became root by
 * sudo, or somebody the operator has named in `SIGNET_TRUST_FILE_OWNERS` (user ids; of the process's environment only, for a
 * file cannot vouch for itself). Git asks the same of a repository (`safe.directory`). Not looked at: the folders above
 * it, and what a pipeline imports.
 */
import { ConfigError, shown } from './problem.ts'

export const TRUST_VARIABLE = 'SIGNET_TRUST_FILE_OWNERS'

export interface Reader {
  readonly platform: NodeJS.Platform
  /** `undefined` where users have no numbers. */
  readonly uid: number | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
}

export function thisReader(): Reader {
  return { platform: process.platform, uid: process.geteuid?.(), environment: process.env }
}

/** Throws a one-line `ConfigError` that says how to mend it. */
export function refuseUntrusted(
  path: string,
  stat: { readonly mode: number; readonly uid: number },
  reader: Reader = thisReader(),
): void {
  const { platform, uid } = reader
  if (platform === 'win32' || uid === undefined) return
  if ((stat.mode & 0o022) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, '0')
    throw new ConfigError([`${path}: others can write to it (mode ${mode}); run: chmod go-w ${shown(path)}`])
  }
  if (stat.uid === 0 || stat.uid === uid || trusted(reader).has(stat.uid)) return
  throw new ConfigError([
    `${path}: belongs to user ${stat.uid}, and user ${uid} runs signet; run: chown ${uid} ${shown(path)}, or set ${TRUST_VARIABLE}=${stat.uid}`,
  ])
}

function trusted({ uid, environment }: Reader): ReadonlySet<number> {
  const named = (environment[TRUST_VARIABLE] ?? '').split(',').map(text => text.trim())
  // Who may become root may command what root runs.
  if (uid === 0) named.push(environment['SUDO_UID'] ?? '')
  const out = new Set<number>()
  for (const text of named) {
    if (text === '') continue
    if (!/^[0-9]{1,10}$/.test(text))
      throw new ConfigError([`${TRUST_VARIABLE}: expected user ids separated by commas, such as 1000,1001`])
    out.add(Number(text))
  }
  return out
}
