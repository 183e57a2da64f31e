import { describe, expect, it } from 'vitest'
import { isNpmScriptOfOurs, parentGone } from './launcher.ts'

describe('a script of npm that is this program and nothing else', () => {
  it.each([
    "'signet'",
    '"signet"',
    'signet',
    'signet serve --dev',
    'node dist/cli/bin.js serve --upstream demo --dev',
    'node node_modules/signet-gate/dist/cli/bin.js serve',
  ])('%s', script => {
    expect(isNpmScriptOfOurs({ npm_lifecycle_script: script })).toBe(true)
  })

  // In each of these the parent may end while the gate is meant to go on.
  it.each([
    'signet serve & npm run app',
    'signet serve --dev &',
    '(signet serve)',
    'nohup signet serve',
    'setsid signet serve',
    'node start-all.js serve',
    'pm2 start signet -- serve',
    'signet-other serve',
    'echo signet',
    '',
  ])('not %s', script => {
    expect(isNpmScriptOfOurs({ npm_lifecycle_script: script })).toBe(false)
  })

  it('not without npm', () => {
    expect(isNpmScriptOfOurs({})).toBe(false)
  })
})

it('a parent is gone when another one has its place, and is looked at no longer', async () => {
  let parent = 41
  let look = (): void => undefined
  let stopped = 0
  let gone = false
  const wait = parentGone({
    id: () => parent,
    often: f => {
      look = f
      return () => (stopped += 1)
    },
  }).then(() => (gone = true))
  look()
  await Promise.resolve()
  expect({ gone, stopped }).toEqual({ gone: false, stopped: 0 })
  parent = 1
  look()
  await wait
  expect({ gone, stopped }).toEqual({ gone: true, stopped: 1 })
})
