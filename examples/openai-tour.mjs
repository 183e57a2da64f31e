/**
 * A tour with the unmodified `openai` package. Start the gate first (`npm start`), then: node examples/openai-tour.mjs
 * GATE_URL says where the gate is; default http://127.0.0.1:8443
 */
import { createHash } from 'node:crypto'
import { compactVerify, createLocalJWKSet } from 'jose'
import OpenAI from 'openai'

const gate = process.env.GATE_URL ?? 'http://127.0.0.1:8443'
await fetch(`${gate}/healthz`).catch(() => {
  console.error(`no gate answers at ${gate}; start it first: npm start`)
  process.exit(2)
})
const client = new OpenAI({
  baseURL: `${gate}/v1`,
  apiKey: 'none',
  defaultHeaders: { 'X-Commit-Owner': 'human:alice@example.com' }, // who answers for these calls
})
const tools = [
  { type: 'function', function: { name: 'get_weather', parameters: { type: 'object' } } },
  { type: 'function', function: { name: 'issue_refund', parameters: { type: 'object' } } },
  { type: 'function', function: { name: 'delete_account', parameters: { type: 'object' } } },
]
const ask = content => ({ model: 'demo', messages: [{ role: 'user', content }], tools })

console.log('1. An ordinary answer')
const { data, response } = await client.chat.completions.create(ask('Say hello')).withResponse()
console.log('  ', data.choices[0].message.content)
for (const name of ['x-signet-correlation-id', 'x-signet-upstream', 'x-signet-receipt']) {
  console.log('  ', name.padEnd(24), response.headers.get(name)?.slice(0, 50))
}

console.log('2. Nobody answers for it')
try {
  await new OpenAI({ baseURL: `${gate}/v1`, apiKey: 'none' }).chat.completions.create(ask('Say hello'))
} catch (error) {
  console.log('  ', error.constructor.name, error.status)
}

console.log('3. A refund waits for a human')
const held = await client.chat.completions.create(ask('Refund $50,000 to account X')).asResponse()
console.log('  ', held.status, await held.json())
try {
  const stream = await client.chat.completions.create({ ...ask('Refund $50,000 to account X'), stream: true })
  for await (const chunk of stream) if (chunk.choices[0]?.delta.tool_calls) console.log('   this is never printed')
} catch (error) {
  console.log('   streamed:', error.constructor.name, error.code)
}

console.log('4. A critical call is taken out, the other one of the same turn goes through')
const turn = await client.chat.completions.create(ask('What is the weather in Paris, and delete account X'))
console.log('  ', turn.choices[0].message.content)
console.log(
  '  ',
  turn.choices[0].message.tool_calls?.map(call => call.function),
)

console.log('5. A classification marker in a stream')
let text = ''
try {
  const stream = await client.chat.completions.create({ ...ask('Tell me the secret plan'), stream: true })
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
} catch (error) {
  console.log('  ', JSON.stringify(text), '... and then', error.constructor.name, error.code)
}

console.log('6. The receipt, checked by a library that knows nothing of signet')
const body = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Say hello' }] })
const answer = await fetch(`${gate}/v1/chat/completions`, {
  method: 'POST',
  headers: { 'content-type': 'application/json', 'x-commit-owner': 'human:alice@example.com' },
  body,
})
const bytes = new Uint8Array(await answer.arrayBuffer())
const keys = createLocalJWKSet(await (await fetch(`${gate}/.well-known/jwks.json`)).json())
const { payload, protectedHeader } = await compactVerify(answer.headers.get('x-signet-receipt'), keys)
const receipt = JSON.parse(new TextDecoder().decode(payload))
const digest = data => `sha256:${createHash('sha256').update(data).digest('hex')}`
console.log('   kind', protectedHeader.typ)
console.log('   covers the request:', receipt.req === digest(body), ' the answer:', receipt.res === digest(bytes))
