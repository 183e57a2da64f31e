/** The vendors' own SDKs through the contract of every client: `openai` on both surfaces, `@anthropic-ai/sdk`. */
import Anthropic from '@anthropic-ai/sdk'
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod'
import OpenAI from 'openai'
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod'
import type { ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import type { Response as Answer, ResponseInput, ResponseInputItem } from 'openai/resources/responses/responses'
import { z } from 'zod'
import type { TestGate } from '../support/gate.ts'
import { startAnthropicUpstream } from './anthropic-upstream.ts'
import { startChatUpstream } from './chat-upstream.ts'
import { type Asking, type Connected, clientSuite, TOOLS } from './contract.ts'
import { startResponsesUpstream } from './responses-upstream.ts'

const CITY = z.object({ city: z.string() })
const SCHEMA = { type: 'object' as const, properties: { city: { type: 'string' } }, required: ['city'] }

interface Options {
  readonly owner: string | undefined
  readonly retries: number
}

const named = (owner: string | undefined) => (owner === undefined ? {} : { 'X-Commit-Owner': owner })
const openAi = (gate: TestGate, { owner, retries }: Options) =>
  new OpenAI({ apiKey: 'sk-none', baseURL: `${gate.url}/v1`, maxRetries: retries, defaultHeaders: named(owner) })
const cityIn = (json: string) => CITY.parse(JSON.parse(json)).city
const options = ({ signal }: Asking) => (signal === undefined ? {} : { signal })

function chat(client: OpenAI): Connected<readonly ChatCompletionMessageParam[]> {
  const model = 'gpt-5-mini'
  const tools = TOOLS.map(name => ({ type: 'function' as const, function: { name, parameters: SCHEMA } }))
  async function complete(messages: ChatCompletionMessageParam[], asking: Asking, withTools: boolean) {
    const body = { model, messages, ...(withTools ? { tools } : {}) }
    if (!asking.streamed) return (await client.chat.completions.create(body, options(asking))).choices[0]?.message
    const run = client.chat.completions.stream(body, options(asking))
    run.on('content', piece => asking.onText?.(piece))
    return (await run.finalChatCompletion()).choices[0]?.message
  }
  return {
    ask: async (prompt, asking) => (await complete([{ role: 'user', content: prompt }], asking, false))?.content ?? '',
    loop: async (prompt, asking, run, after = []) => {
      const messages: ChatCompletionMessageParam[] = [...after, { role: 'user', content: prompt }]
      for (;;) {
        const message = await complete(messages, asking, true)
        if (message === undefined) throw new TypeError('expected a choice')
        messages.push(message)
        const calls = message.tool_calls ?? []
        if (calls.length === 0) return { text: message.content ?? '', history: messages }
        for (const call of calls) {
          if (call.type !== 'function') throw new TypeError('expected a function')
          const content = run(call.function.name, cityIn(call.function.arguments))
          messages.push({ role: 'tool', tool_call_id: call.id, content })
        }
      }
    },
    structured: async prompt => {
      const response_format = zodResponseFormat(CITY, 'city')
      const messages: ChatCompletionMessageParam[] = [{ role: 'user', content: prompt }]
      return (await client.chat.completions.parse({ model, messages, response_format })).choices[0]?.message.parsed
    },
  }
}

function responses(client: OpenAI): Connected<ResponseInput> {
  const model = 'gpt-5-mini'
  const tools = TOOLS.map(name => ({ type: 'function' as const, name, parameters: SCHEMA, strict: false }))
  async function complete(input: ResponseInput, asking: Asking, withTools: boolean): Promise<Answer> {
    const body = { model, input, ...(withTools ? { tools } : {}) }
    if (!asking.streamed) return client.responses.create(body, options(asking))
    const run = client.responses.stream(body, options(asking))
    run.on('response.output_text.delta', event => asking.onText?.(event.delta))
    return (await run.finalResponse()) as Answer
  }
  return {
    ask: async (prompt, asking) => (await complete([{ role: 'user', content: prompt }], asking, false)).output_text,
    loop: async (prompt, asking, run, after = []) => {
      const input: ResponseInput = [...after, { role: 'user', content: prompt }]
      for (;;) {
        const answer = await complete(input, asking, true)
        input.push(...(answer.output as ResponseInputItem[]))
        const calls = answer.output.filter(item => item.type === 'function_call')
        if (calls.length === 0) return { text: answer.output_text, history: input }
        for (const { call_id, name, arguments: json } of calls) {
          input.push({ type: 'function_call_output', call_id, output: run(name, cityIn(json)) })
        }
      }
    },
    structured: async prompt =>
      (await client.responses.parse({ model, input: prompt, text: { format: zodTextFormat(CITY, 'city') } }))
        .output_parsed,
  }
}

function messages(client: Anthropic): Connected<readonly Anthropic.MessageParam[]> {
  const base = { model: 'claude', max_tokens: 256 }
  const tools = TOOLS.map(name => ({ name, input_schema: SCHEMA }))
  async function complete(list: Anthropic.MessageParam[], asking: Asking, withTools: boolean) {
    const body = { ...base, messages: list, ...(withTools ? { tools } : {}) }
    if (!asking.streamed) return client.messages.create(body, options(asking))
    const run = client.messages.stream(body, options(asking))
    run.on('text', piece => asking.onText?.(piece))
    return run.finalMessage()
  }
  const textOf = ({ content }: Anthropic.Message) => content.map(b => (b.type === 'text' ? b.text : '')).join('')
  return {
    ask: async (prompt, asking) => textOf(await complete([{ role: 'user', content: prompt }], asking, false)),
    loop: async (prompt, asking, run, after = []) => {
      const list: Anthropic.MessageParam[] = [...after, { role: 'user', content: prompt }]
      for (;;) {
        const message = await complete(list, asking, true)
        list.push({ role: 'assistant', content: message.content })
        const calls = message.content.filter(b => b.type === 'tool_use')
        if (calls.length === 0) return { text: textOf(message), history: list }
        const results = calls.map(({ id, name, input }) => ({
          type: 'tool_result' as const,
          tool_use_id: id,
          content: run(name, CITY.parse(input).city),
        }))
        list.push({ role: 'user', content: results })
      }
    },
    structured: async prompt => {
      const output_config = { format: zodOutputFormat(CITY) }
      const list: Anthropic.MessageParam[] = [{ role: 'user', content: prompt }]
      return (await client.messages.parse({ ...base, messages: list, output_config })).parsed_output
    },
  }
}

const openAiErrors = {
  refused: { type: OpenAI.PermissionDeniedError, like: { status: 403 } },
  limited: { type: OpenAI.RateLimitError, like: { status: 429 } },
  heldByError: { type: OpenAI.PermissionDeniedError, like: { status: 403, code: 'escalated', type: 'signet_refusal' } },
  aborted: { type: OpenAI.APIError, like: { code: 'marker', type: 'signet_refusal' } },
  heldInStream: { type: OpenAI.APIError, like: { code: 'escalated', type: 'signet_refusal' } },
}

clientSuite({
  name: 'openai, chat',
  startUpstream: startChatUpstream,
  connect: (gate, o) => chat(openAi(gate, o)),
  errors: openAiErrors,
  takes202: { type: TypeError },
})

clientSuite({
  name: 'openai, responses',
  startUpstream: startResponsesUpstream,
  connect: (gate, o) => responses(openAi(gate, o)),
  errors: openAiErrors,
  takes202: { type: TypeError },
})

clientSuite({
  name: '@anthropic-ai/sdk',
  startUpstream: startAnthropicUpstream,
  connect: (gate, { owner, retries }) =>
    messages(
      new Anthropic({
        apiKey: 'sk-none',
        authToken: null,
        baseURL: gate.url,
        maxRetries: retries,
        defaultHeaders: named(owner),
      }),
    ),
  errors: {
    refused: { type: Anthropic.PermissionDeniedError, like: { status: 403, type: 'permission_error' } },
    limited: { type: Anthropic.RateLimitError, like: { status: 429, type: 'rate_limit_error' } },
    heldByError: { type: Anthropic.PermissionDeniedError, like: { status: 403, type: 'permission_error' } },
    aborted: { type: Anthropic.APIError, like: { type: 'permission_error' } },
    heldInStream: { type: Anthropic.APIError, like: { type: 'permission_error' } },
  },
  takes202: { type: TypeError },
})
