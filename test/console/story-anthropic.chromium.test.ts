/**
 * The story on the Messages API, with the vendor's own SDK: streamed, so that its accumulator has the call; a person approves
 * it in Chromium, the SDK's promise resolves, and the executor runs it once, with these arguments and no others.
 */
import Anthropic from '@anthropic-ai/sdk'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { capabilityOf, MemoryReplayStore, remoteJwks, requireCapability } from '../../src/capability/index.ts'
import { type AnthropicUpstream, startAnthropicUpstream } from '../clients/anthropic-upstream.ts'
import { type ConsoleStand, OWNER, PAY, startConsole } from './stand.ts'

let upstream: AnthropicUpstream
let s: ConsoleStand
let bob: Page
beforeAll(async () => {
  upstream = await startAnthropicUpstream()
  s = await startConsole({ anthropicUpstreamUrl: upstream.url })
  bob = await s.signedIn('approver')
})
afterAll(async () => {
  await s.close()
  await upstream.close()
})

it.each([false, true])('streamed: %s. Held, approved in the browser, returned, run once', async streamed => {
  const client = new Anthropic({
    apiKey: 'unused',
    baseURL: s.serving.url,
    defaultHeaders: { 'X-Commit-Owner': OWNER },
    maxRetries: 0,
  })
  const ask = {
    model: 'claude-test',
    max_tokens: 100,
    messages: [{ role: 'user' as const, content: 'tools: [["issue_refund", {"amount": 1200, "account": "ACC-7"}]]' }],
    tools: [{ name: 'issue_refund', input_schema: { type: 'object' as const } }],
  }
  const answer = streamed ? client.messages.stream(ask).finalMessage() : client.messages.create(ask)
  await bob.goto(`${s.control}/console/#/approvals`)
  await bob.getByText('computed here').waitFor()
  await bob.getByRole('button', { name: /Approve/ }).click()
  await bob.getByRole('dialog').getByRole('button', { name: 'Approve this call' }).click()
  await bob.getByText('Nothing waits').waitFor()

  const call = (await answer).content.find(block => block.type === 'tool_use')
  if (call === undefined) throw new Error('the SDK got no call')
  const paid: unknown[] = []
  const options = {
    keys: remoteJwks(`${s.serving.url}/.well-known/jwks.json`),
    issuer: 'signet',
    audience: PAY,
    replay: new MemoryReplayStore(),
  }
  const pay = async (args: unknown) => {
    paid.push(args)
    return 'paid'
  }
  const refund = requireCapability('issue_refund', pay, options)
  const capability = capabilityOf(call)
  const argumentsText = JSON.stringify(call.input)
  const refused = async (attempt: Promise<unknown>) =>
    attempt.then(
      () => 'ran',
      (e: { code?: string }) => e.code,
    )
  expect(await refused(refund({ capability, argumentsText: argumentsText.replace('1200', '1201') }))).toBe(
    'arguments_mismatch',
  )
  expect(await refused(requireCapability('wire_money', pay, options)({ capability, argumentsText }))).toBe('tool_wrong')
  const elsewhere = requireCapability('issue_refund', pay, { ...options, audience: 'https://other.example' })
  expect(await refused(elsewhere({ capability, argumentsText }))).toBe('audience_wrong')
  expect(await refund({ capability, argumentsText })).toBe('paid')
  expect(await refused(refund({ capability, argumentsText }))).toBe('already_used')
  expect(paid).toEqual([{ amount: 1200, account: 'ACC-7' }])
})
