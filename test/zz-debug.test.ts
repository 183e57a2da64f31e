import { it } from 'vitest'
import { answer, begin, json, stop } from '../src/dialects/messages.test-support.ts'
import { startTestGate } from './support/gate.ts'
import { checks } from './bypass/checks.ts'
import { startScriptedUpstream } from './bypass/upstream.ts'
import { streamed } from './bypass/messages-answers.ts'
it('x', async () => {
  const upstream = await startScriptedUpstream()
  const gate = await startTestGate({ upstreamUrl: upstream.url, checks: checks() })
  const input = JSON.stringify({ q: ['sk-test-abcdefgh1234', 'x'] })
  upstream.script('m', streamed(answer(begin(0, { type: 'server_tool_use', id: 's', name: 'web_search', input: {} }) + [...input].map(p => json(0, p)).join('') + stop(0))))
  const res = await fetch(`${gate.url}/v1/messages`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:a@b.c' }, body: JSON.stringify({ model: 'm', max_tokens: 5, stream: true, messages: [{ role: 'user', content: 'x' }] }) })
  console.log(res.status, (await res.text()).split('\n').filter(l => l.includes('partial_json')).map(l => JSON.parse(l.slice(6)).delta.partial_json).join('|'))
  await gate.close(); await upstream.close()
})
