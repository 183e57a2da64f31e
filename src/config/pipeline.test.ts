import { describe, expect, it } from 'vitest'
import type { Check } from '../core/check.ts'
import { ALLOW } from '../core/verdict.ts'
import { definePipeline, isPipelineConfig } from './pipeline.ts'
import { ConfigError } from './problem.ts'

function check(more: Record<string, unknown> = {}): Check {
  const base = { name: 'one', priority: 0, timeLimitMs: 1000, describe: () => ({ name: 'one' }), admit: () => ALLOW }
  return { ...base, ...more } as Check
}

function problemsOf(definition: unknown): readonly string[] {
  try {
    definePipeline(definition as Parameters<typeof definePipeline>[0])
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('definePipeline', () => {
  it('keeps checks and settings, frozen', () => {
    const one = check()
    const made = definePipeline({ checks: [one], port: 9000 })
    expect(made.checks).toEqual([one])
    expect(made.settings).toEqual({ port: 9000 })
    expect(isPipelineConfig(made)).toBe(true)
    expect(Object.isFrozen(made) && Object.isFrozen(made.checks) && Object.isFrozen(made.settings)).toBe(true)
  })

  it('hooks of a class count', () => {
    class FromClass {
      readonly name = 'from_class'
      readonly priority = 1
      readonly timeLimitMs = 5
      describe() {
        return { name: this.name }
      }
      record() {
        return []
      }
    }
    expect(problemsOf({ checks: [new FromClass()] })).toEqual([])
  })

  it.each([
    ['no checks', { checks: [] }, 'gates nothing'],
    ['checks missing', {}, 'expected a list'],
    ['no object', null, 'expected an object'],
    ['a class', { checks: [class Foo {}] }, 'write "new" in front'],
    ['nothing', { checks: [undefined] }, 'expected a check'],
    ['upper-case name', { checks: [check({ name: 'One' })] }, 'lower-case'],
    ['name with controls', { checks: [check({ name: 'a\u001b[31m' })] }, 'lower-case'],
    ['two of one name', { checks: [check(), check()] }, 'taken by an earlier check'],
    ['no hook', { checks: [check({ admit: undefined })] }, 'has no hook'],
    ['hook no function', { checks: [check({ commit: true })] }, 'expected commit to be a function'],
    ['shareState no function', { checks: [check({ shareState: {} })] }, 'expected shareState to be a function'],
    ['priority NaN', { checks: [check({ priority: Number.NaN })] }, 'finite number as priority'],
    ['no time limit', { checks: [check({ timeLimitMs: 0 })] }, 'timeLimitMs'],
    ['shadow by text', { checks: [check({ shadow: 'no' })] }, 'shadow to be true or false'],
    ['no describe', { checks: [check({ describe: undefined })] }, 'describe() function'],
    [
      'describe throws',
      {
        checks: [
          check({
            describe: () => {
              throw new Error('broken\ntwice')
            },
          }),
        ],
      },
      'broken twice',
    ],
    ['describe is no object', { checks: [check({ describe: () => [] })] }, 'plain object'],
    ['describe has a bigint', { checks: [check({ describe: () => ({ n: 1n }) })] }, 'no JSON'],
    ['unknown setting', { checks: [check()], maxConcurent: 1 }, 'did you mean maxConcurrent'],
    [
      'hostile check',
      {
        checks: [
          new Proxy(
            {},
            {
              get() {
                throw new Error('trap')
              },
            },
          ),
        ],
      },
      'reading it throws: trap',
    ],
  ])('%s is one line', (_name, definition, expected) => {
    const problems = problemsOf(definition)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(expected)
    expect(problems[0]).not.toContain('\n')
  })
})
