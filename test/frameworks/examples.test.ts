/** The examples with wrappers, as they stand in the folder, against a gate with the default checks' refusals. */
import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { PromptInjectionCheck } from '../../src/checks/prompt-injection.ts'
import { SigningKey } from '../../src/keys/signing.ts'
import { demoChecks, startTestGate, type TestGate } from '../support/gate.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const run = promisify(execFile)
let gate: TestGate
beforeAll(async () => {
  gate = await startTestGate({
    checks: [...demoChecks(), new PromptInjectionCheck()],
    receipts: { signer: SigningKey.generate(), issuer: 'signet' },
  })
})
afterAll(() => gate.close())

/** From the sources, so that it needs no build. */
const said = async (name: string): Promise<string> => {
  const { stdout } = await run(process.execPath, ['--conditions', 'signet-source', `examples/${name}.mjs`], {
    cwd: ROOT,
    env: { ...process.env, GATE_URL: gate.url, ANTHROPIC_API_KEY: '', MODEL: 'demo' },
  })
  return stdout
}

it('wrap-anthropic shows a refusal with its facts', async () => {
  expect(await said('wrap-anthropic')).toMatch(
    /refused: prompt-injection rule 'ignore_previous' fired \(high\) \(prompt_injection\) PermissionDeniedError 403\n {3}correlation id [0-9a-f-]{36} {2}receipt eyJ/,
  )
})

it.each(['openai-tour', 'wrap-anthropic', 'langchain', 'ai-sdk'])(
  '%s says in one line that there is no gate',
  async name => {
    const env = { ...process.env, GATE_URL: 'http://127.0.0.1:1' }
    const ran = run(process.execPath, ['--conditions', 'signet-source', `examples/${name}.mjs`], { cwd: ROOT, env })
    await expect(ran).rejects.toMatchObject({
      code: 2,
      stdout: '',
      stderr: 'no gate answers at http://127.0.0.1:1; start it first: npm start\n',
    })
  },
)

it.each(['langchain', 'ai-sdk'])('%s shows an answer, a call, a held call, a refusal and an abort', async name => {
  const out = await said(name)
  expect(out).toMatch(/Hello\. /)
  expect(out.match(/\{ request: true, response: true \}/g)).toHaveLength(2)
  expect(out).toMatch(/signet refused the tool call delete_account.* get_weather\(\{"city":"Paris"\}\)/)
  expect(out).toMatch(/held: [0-9a-f-]{36}|SignetEscalated [0-9a-f-]{36}/)
  expect(out).toMatch(/prompt-injection rule 'ignore_previous' fired/)
  expect(out).toMatch(/The plan is simple\. \.\.\. and then SignetRefused classification marker/)
  expect(out).not.toContain('convoy')
})
