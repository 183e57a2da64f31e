/** Checks that fail: every way a hook can, at every stage. */
import type { Check, Inspection, Inspector } from '../../src/core/check.ts'

export const STAGES = ['admission', 'inspection', 'commitment', 'record'] as const
export type FaultStage = (typeof STAGES)[number]

const never = () => new Promise<never>(() => undefined)
const boom = () => {
  throw new RangeError('SECRET//NOFORN is in this message')
}

/** What a hook returns instead of a verdict. `inspecting` wraps it for the one hook that returns more than a verdict. */
const RETURNED: Readonly<Record<string, () => unknown>> = {
  'throws at once': boom,
  'throws no error': () => {
    throw null
  },
  rejects: () => Promise.reject(new Error('SECRET//NOFORN')),
  'rejects with nothing': () => Promise.reject(undefined),
  'never answers': never,
  'returns undefined': () => undefined,
  'returns a promise of undefined': () => Promise.resolve(undefined),
  'returns true': () => true,
  'returns a string': () => 'allow',
  'returns an unknown kind': () => ({ kind: 'ALLOW' }),
  'returns a block without a cause': () => ({ kind: 'block' }),
  'returns a block with a cause that is none': () => ({ kind: 'block', because: { code: 5, reason: null } }),
  'returns an array': () => ['allow'],
  'returns a function': () => () => ({ kind: 'allow' }),
  'returns a hostile kind': () => ({
    get kind() {
      return boom()
    },
  }),
  'returns a hostile then': () => Object.defineProperty({}, 'then', { get: boom }),
  'returns a thenable that throws': () => Object.defineProperty({}, 'then', { value: boom }),
  'returns a thenable that never answers': () => Object.defineProperty({}, 'then', { value: () => undefined }),
  'returns a proxy that traps everything': () =>
    new Proxy({}, { get: boom, has: boom, ownKeys: boom, getOwnPropertyDescriptor: boom, getPrototypeOf: boom }),
  'resolves to a hostile kind': () =>
    Promise.resolve({
      get kind() {
        return boom()
      },
    }),
  'returns a block whose cause throws the second time': () => {
    let reads = 0
    return {
      kind: 'block',
      get because() {
        reads += 1
        return reads > 3 ? boom() : { code: 'custom:x', reason: 'x' }
      },
    }
  },
}

export const FAULTS = Object.keys(RETURNED)

/** A check that fails at one stage in one way and is happy otherwise. */
export function failingCheck(stage: FaultStage, fault: string): Check {
  const fail = RETURNED[fault] as () => never
  const base = { name: 'broken', priority: 30, timeLimitMs: 20, describe: () => ({ name: 'broken' }) }
  switch (stage) {
    case 'admission':
      return { ...base, admit: fail }
    case 'commitment':
      return { ...base, commit: fail }
    case 'record':
      return { ...base, record: fail }
    case 'inspection':
      return { ...base, inspect: () => () => inspector(fail) }
  }
}

/** The places of an inspecting check that are not `push`. */
export const INSPECTING: Readonly<Record<string, NonNullable<Check['inspect']>>> = {
  'the hook throws': boom,
  'the hook returns nonsense': () => 5 as never,
  'the hook returns a promise': () => never() as never,
  'the factory throws': () => boom,
  'the factory returns nonsense': () => () => ({ push: 5 }) as never,
  'the factory returns a promise': () => () => Promise.resolve(inspector(allowAll)) as never,
  'end throws': () => () => ({ push: allowAll, end: boom }),
  'end never answers': () => () => ({ push: allowAll, end: never }),
  'settles nothing at the end': () => () => ({
    push: p => ({ settled: p.at, verdict: { kind: 'allow' } }),
    end: () => ({ settled: 0, verdict: { kind: 'allow' } }),
  }),
  'settles text that has not come': () => () => ({
    push: p => ({ settled: p.at + p.text.length + 1, verdict: { kind: 'allow' } }),
    end: allowAll,
  }),
  'settles NaN': () => () => ({ push: () => ({ settled: Number.NaN, verdict: { kind: 'allow' } }), end: allowAll }),
  'edits text it has settled': () => () => ({
    push: p => ({
      settled: p.at + p.text.length,
      verdict: {
        kind: 'redact',
        because: { code: 'output_pattern', reason: 'x' },
        edits: [{ from: -5, to: 1, text: 'x' }],
      },
    }),
    end: allowAll,
  }),
}

function allowAll(p: { readonly at: number; readonly text: string }): Inspection {
  return { settled: p.at + p.text.length, verdict: { kind: 'allow' } }
}

function inspector(fail: Inspector['push']): Inspector {
  return { push: fail, end: allowAll }
}
