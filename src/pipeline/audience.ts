/** For whom the capabilities of a pipeline's tools are. */
import type { Audiences, Check } from '../core/check.ts'

/** The check that runs first has the word where two name an audience for one tool. */
export function combineAudiences(checks: readonly Check[]): Audiences {
  const named = checks.flatMap(check => (check.audience === undefined ? [] : [check.audience]))
  return {
    any: named.some(audience => audience.any),
    of(tool) {
      for (const audience of named) {
        const found = audience.of(tool)
        if (found !== undefined) return found
      }
      return undefined
    },
  }
}
