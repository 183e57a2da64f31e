/** How long hooks of checks take, as a port: a test says what time it is, and where nobody asks nothing is measured. */

export const HOOK_STAGES = ['admission', 'inspection', 'commitment', 'record'] as const
export type HookStage = (typeof HOOK_STAGES)[number]

export interface CheckTimes {
  /** Milliseconds on a clock that never goes back. */
  nowMs(): number
  /** Asked once, at start: what counts a call of this check at this stage. It must not throw. */
  at(check: string, stage: HookStage): (ms: number) => void
}
