/** `signet escalations evidence`: a decision's evidence verified here, against nothing but itself and, if asked, the audit log. */
import { readFileSync } from 'node:fs'
import { readRows } from '../audit/read.ts'
import { WebauthnMissing } from '../escalation/assertion.ts'
import { type DecisionReport, type EvidenceReport, holds, verifyEvidence } from '../escalation/verify-evidence.ts'
import { escapeText } from '../text/visible.ts'
import { type Context, fileError, located } from './context.ts'
import { type ControlFlags, callControl, listOf, text } from './control-call.ts'
import { CommandError, FAILED, UNUSABLE } from './failure.ts'
import { jsonObject } from './http.ts'

export interface EvidenceOptions extends ControlFlags {
  readonly file?: string
  readonly auditLog?: string
}

export async function evidence(id: string | undefined, options: EvidenceOptions, context: Context): Promise<void> {
  const { terminal } = context
  if ((id === undefined) === (options.file === undefined))
    throw new CommandError('name an escalation, or a file with --file', UNUSABLE)
  const document =
    options.file === undefined
      ? await callControl(options, context, 'GET', `/escalations/${id}/evidence`)
      : jsonObject(kept(options.file, context))
  const report = await verified(document)
  if (report === undefined) throw new CommandError('that is no evidence of an escalation', FAILED)
  const logged = options.auditLog === undefined ? undefined : await rowsOf(located(context, options.auditLog), report)
  if (options.json) terminal.json(document)
  else print(report, logged, context)
  const missing = logged?.find(found => !found.decided || found.registered === false)
  if (!holds(report)) throw new CommandError('the evidence does not hold', FAILED)
  if (missing !== undefined) throw new CommandError('the audit log does not say the same as the evidence', FAILED)
}

function kept(file: string, context: Context): Uint8Array {
  try {
    return readFileSync(located(context, file))
  } catch (error) {
    throw fileError(file, error)
  }
}

async function verified(document: unknown): Promise<EvidenceReport | undefined> {
  try {
    return await verifyEvidence(document)
  } catch (error) {
    if (error instanceof WebauthnMissing) throw new CommandError(error.message, UNUSABLE)
    throw error
  }
}

/** What the log says of one decision. `registered`: `undefined` where there was no passkey. */
interface Logged {
  readonly decided: boolean
  readonly registered: boolean | undefined
}

async function rowsOf(path: string, report: EvidenceReport): Promise<readonly Logged[]> {
  const found = report.decisions.map(() => ({ decided: false, registered: false }))
  for await (const read of readRows(path)) {
    if (read.kind !== 'row') continue
    const { row } = read
    const meta = (name: string) => row.metadata.get(name)
    const owner = `${row.ownerType}:${row.ownerId}`
    for (const [i, d] of report.decisions.entries()) {
      const one = found[i]
      if (one === undefined || owner !== d.approver) continue
      const name = meta('_check_name')
      if (name === 'escalation.decided' && meta('_escalation_id') === report.escalation) {
        const decision = row.decision === 'allow' ? 'approve' : 'deny'
        one.decided ||=
          decision === d.decision &&
          meta('_decided_digest') === report.digest &&
          meta('_evidence_sha256') === d.evidenceDigest
      }
      if (name === 'passkey.registered' && meta('_passkey_id') === d.evidence?.credentialId)
        one.registered ||= meta('_passkey_key_sha256') === d.publicKeyDigest
    }
  }
  return found.map((one, i) => ({
    decided: one.decided,
    registered: report.decisions[i]?.evidence === undefined ? undefined : one.registered,
  }))
}

function print(report: EvidenceReport, logged: readonly Logged[] | undefined, { terminal }: Context): void {
  const { escalation, digest, shown, digestHolds } = report
  terminal.line(`escalation  ${escapeText(escalation)}`)
  terminal.line(`owner       ${escapeText(text(shown, 'owner'))}`)
  for (const c of listOf(shown['calls']))
    terminal.line(`call        ${escapeText(text(c, 'tool'))}, arguments ${escapeText(text(c, 'arguments'))}`)
  terminal.line(`digest      ${escapeText(digest)}, ${digestHolds ? 'over exactly this' : 'and NOT over this'}`)
  for (const [i, d] of report.decisions.entries()) {
    terminal.line({
      text: `${d.decision === 'approve' ? 'approved' : 'denied'}    by ${escapeText(d.approver)}, known by ${escapeText(d.by)}`,
      colour: 'bold',
    })
    terminal.line(`at          ${new Date(d.atMs).toISOString()}`)
    terminal.line(`signature   ${verdictOf(d)}`)
    if (d.evidence !== undefined) {
      terminal.line(
        `passkey     ${escapeText(d.evidence.credentialId)} of ${escapeText(d.evidence.rpId)}, on ${escapeText(d.evidence.origin)}`,
      )
      terminal.line(`evidence    ${d.evidenceDigest ?? ''}`)
    }
    const said = logged?.[i]
    if (said !== undefined) terminal.line(`audit log   ${loggedText(said)}`)
  }
}

function verdictOf({ verdict }: DecisionReport): string {
  if (verdict === 'signed') return 'holds: the key signed exactly this decision'
  return verdict === 'unsigned' ? 'none: the audit log alone says so' : `does NOT hold (${verdict})`
}

function loggedText({ decided, registered }: Logged): string {
  if (!decided) return 'has NO such decision'
  if (registered === undefined) return 'has this decision'
  return registered
    ? "has this decision, and this key as the approver's"
    : "has this decision, and NOT this key as the approver's"
}
