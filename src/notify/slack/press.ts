/**
 * What a button of ours stands for: `1 <escalation id> <digest>`. The number is that of this form. It gives nobody any
 * right: who pressed it is what Slack's signature proves, and what is decided is exactly that digest.
 */
const FORM = /^1 ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) (sha256:[0-9a-f]{64})$/

export const APPROVE = 'signet_approve'
export const DENY = 'signet_deny'
export const OPEN = 'signet_open'
/** Of the form that asks for the reason of a denial. */
export const REASON_VIEW = 'signet_reason'
export const REASON = 'reason'
export const MAX_REASON = 1000

export interface Stands {
  readonly id: string
  readonly digest: string
}

export function buttonValue({ id, digest }: Stands): string {
  return `1 ${id} ${digest}`
}

export function readButtonValue(value: unknown): Stands | undefined {
  const [, id, digest] = typeof value === 'string' ? (FORM.exec(value) ?? []) : []
  return id === undefined || digest === undefined ? undefined : { id, digest }
}
