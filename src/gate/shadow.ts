/** The headers that say what shadow mode would have done. Values come from policy text: one line of printable ASCII, bounded. */
import type { Decision } from '../core/exchange.ts'

export function shadowHeaders(
  decisions: readonly Decision[],
  correlationId: string,
  strict: boolean,
): Record<string, string> {
  const d = decisions.find(each => each.shadow && each.verdict.kind !== 'allow')
  if (d === undefined || d.verdict.kind === 'allow') return {}
  return {
    'x-signet-shadow-decision': d.verdict.kind,
    'x-signet-shadow-reason': strict ? 'refused' : headerText(d.verdict.because.reason),
    'x-signet-shadow-stage': d.stage,
    'x-signet-correlation-id': correlationId,
    ...(strict ? {} : { 'x-signet-shadow-check': headerText(d.check) }),
  }
}

/** RFC 9110 5.5: field values are visible ASCII and blanks here; anything else becomes `\u….` text. */
function headerText(text: string): string {
  return text.slice(0, 256).replace(/[^\x20-\x7e]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
