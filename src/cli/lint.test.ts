import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { newFolder, signetInNode } from './testing/command.test-support.ts'

describe('lint', () => {
  it('every way a file can be broken is one line', async () => {
    const folder = newFolder()
    const cases: readonly (readonly [string, RegExp])[] = [
      ['export default {{', /:1: syntax error/],
      ['const a = 1\n\nconst b: = 3', /:3: syntax error/],
      ['enum A { B }', /enum is not supported/],
      ['const a = 1\n\nthrow new Error("two\\nlines")', /:3: failed while it ran: two lines/],
      ["import 'not-installed-anywhere'", /Cannot find package 'not-installed-anywhere'/],
      ["import './not-there.ts'", /Cannot find module .*not-there\.ts/],
      ["import { ghost } from 'signet-gate'", /does not provide an export named 'ghost'/],
      ["import 'signet-gate/nope'", /has no part called/],
      ['export const checks = []', /no default export/],
      ['export default { checks: [] }', /not made by definePipeline/],
      ["import { definePipeline } from 'signet-gate'\nexport default definePipeline({ checks: [] })", /gates nothing/],
      [
        "import { definePipeline, OwnerResolutionCheck } from 'signet-gate'\nexport default definePipeline({ checks: [new OwnerResolutionCheck()], shdow: true })",
        /did you mean shadow/,
      ],
      [
        "import { RateLimitCheck } from 'signet-gate'\nnew RateLimitCheck({ capacity: -1 })",
        /:2: failed while it ran: .*capacity must be/,
      ],
      ['throw { toString() { throw 1 } }', /failed while it ran/],
      ['throw new Error("\\u001b[31m\\u202e")', /\\x1b\[31m\\u202e/],
    ]
    for (const [index, [text]] of cases.entries()) writeFileSync(join(folder, `p${index}.ts`), text)
    const commands = [
      ...cases.map((_, index) => ['lint', `p${index}.ts`]),
      ...cases.map((_, index) => ['serve', '--dev', '--upstream', 'demo', '--config', `p${index}.ts`]),
      ['lint', 'missing.ts'],
      ['lint', 'pipeline.json'],
      ['lint'],
    ]
    const results = await signetInNode(commands, folder)
    for (const [index, { code, out, error }] of results.entries()) {
      expect(code).toBe(2)
      expect(out).toBe('')
      expect(error.trim().split('\n')).toHaveLength(1)
      const broken = index < 2 * cases.length ? cases[index % cases.length] : undefined
      expect(error).toMatch(broken?.[1] ?? /no such file|expected a \.ts/)
    }
  })

  it('reports findings, fails on errors, and on warnings when strict; what init writes has none', async () => {
    const folder = newFolder()
    const write = (name: string, checks: string, more = '') =>
      writeFileSync(
        join(folder, name),
        `import { definePipeline, OwnerResolutionCheck, RateLimitCheck } from 'signet-gate'\nexport default definePipeline({ checks: [${checks}]${more} })`,
      )
    write('ownerless.ts', 'new RateLimitCheck()')
    write('owned.ts', 'new OwnerResolutionCheck()')
    write('wrong.ts', 'new OwnerResolutionCheck()', ', port: 70000')
    const [ownerless, owned, strict, wrong, init, scaffold] = await signetInNode(
      [
        ['lint', 'ownerless.ts'],
        ['lint', 'owned.ts'],
        ['lint', 'owned.ts', '--strict'],
        ['lint', 'wrong.ts', '--json'],
        ['init', '.'],
        ['lint', '--strict'],
      ],
      folder,
    )
    expect(ownerless).toMatchObject({ code: 1, out: expect.stringContaining('error SIG002') })
    expect(owned).toMatchObject({ code: 0, out: expect.stringContaining('warning SIG005') })
    expect(strict?.code).toBe(1)
    expect(wrong?.code).toBe(1)
    expect(JSON.parse(wrong?.out ?? '')).toMatchObject({
      ok: false,
      findings: [{ code: 'SIG000', level: 'error' }, {}, {}, {}],
    })
    expect(init?.code).toBe(0)
    expect(scaffold).toEqual({
      code: 0,
      out: expect.stringMatching(/^OK: pipeline passes the v[0-9.]+ lint checks\.\n$/),
      error: '',
    })
    expect(readFileSync(join(folder, 'pipeline.ts'), 'utf8')).toContain('new PromptInjectionCheck()')
  })
})
