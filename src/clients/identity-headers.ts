/** The request headers that tell the gate who asks. Asserted by the caller: the gate's identity strategy decides what they are worth. */

export interface CallerIdentity {
  /**
   * The accountable principal, with its prefix: `human:alice@example.com` (sent as `X-Commit-Owner`), `agent:triage`
   * (`X-Agent-Id`) or `policy:nightly` (`X-Policy-Name`).
   */
  readonly owner: string
  /** The agent acting for a human or policy owner: `triage` or `agent:triage`. */
  readonly agentId?: string
  /** The policy it acts under: `nightly` or `policy:nightly`. */
  readonly policy?: string
  /** The level of the data in the requests, for example `INTERNAL`. */
  readonly classification?: string
  readonly clearance?: string
  readonly sessionId?: string
}

/** Throws a TypeError that names the setting; the value itself is not repeated. */
export function identityHeaders(identity: CallerIdentity): ReadonlyMap<string, string> {
  const headers = new Map<string, string>()
  const set = (setting: string, header: string, value: string): void => {
    // RFC 9110 section 5.5: visible ASCII and inner spaces. The gate refuses anything else.
    if (!/^[!-~](?:[ -~]*[!-~])?$/.test(value))
      throw new TypeError(`\`${setting}\` must be visible ASCII and not empty: it is sent as ${header}`)
    if (headers.has(header)) throw new TypeError(`\`${setting}\` and \`owner\` both set ${header}; give one of them`)
    headers.set(header, value)
  }
  const [, type, name] = /^(human|agent|policy):(.+)$/s.exec(identity.owner) ?? []
  if (type === undefined || name === undefined || name.trim() === '')
    throw new TypeError('`owner` must be human:<name>, agent:<id> or policy:<name>')
  if (type === 'human') set('owner', 'X-Commit-Owner', identity.owner)
  if (type === 'agent') set('owner', 'X-Agent-Id', identity.owner)
  if (type === 'policy') set('owner', 'X-Policy-Name', name)
  const { agentId, policy, classification, clearance, sessionId } = identity
  if (agentId !== undefined) set('agentId', 'X-Agent-Id', agentId.startsWith('agent:') ? agentId : `agent:${agentId}`)
  if (policy !== undefined) set('policy', 'X-Policy-Name', policy.replace(/^policy:/, ''))
  if (classification !== undefined) set('classification', 'X-Classification', classification)
  if (clearance !== undefined) set('clearance', 'X-Caller-Clearance', clearance)
  if (sessionId !== undefined) set('sessionId', 'X-Signet-Session', sessionId)
  return headers
}
