/** `@langchain/openai` and `@langchain/anthropic`, unmodified, against the gate. */
import { ChatAnthropic } from '@langchain/anthropic'
import {
  type AIMessage,
  type AIMessageChunk,
  type BaseMessage,
  HumanMessage,
  ToolMessage,
} from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { ChatOpenAI } from '@langchain/openai'
import OpenAI from 'openai'
import { z } from 'zod'
import { startAnthropicUpstream } from './anthropic-upstream.ts'
import { startChatUpstream } from './chat-upstream.ts'
import { type Asking, type Client, type Connected, clientSuite, TOOLS } from './contract.ts'
import { startResponsesUpstream } from './responses-upstream.ts'

const CITY = z.object({ city: z.string() })

/** As the manual has it: ask, run what is proposed, ask again. */
function connected(model: ChatOpenAI | ChatAnthropic): Connected<readonly BaseMessage[]> {
  async function complete(
    asked: Pick<ChatOpenAI, 'invoke' | 'stream'>,
    messages: readonly BaseMessage[],
    { streamed, signal, onText }: Asking,
  ): Promise<AIMessage | AIMessageChunk> {
    const options = signal === undefined ? {} : { signal }
    if (!streamed) return asked.invoke([...messages], options)
    let whole: AIMessageChunk | undefined
    for await (const chunk of await asked.stream([...messages], options)) {
      if (chunk.text !== '') onText?.(chunk.text)
      whole = whole === undefined ? chunk : whole.concat(chunk)
    }
    if (whole === undefined) throw new Error('expected a chunk')
    return whole
  }
  return {
    ask: async (prompt, asking) => (await complete(model as ChatOpenAI, [new HumanMessage(prompt)], asking)).text,
    loop: async (prompt, asking, run, after = []) => {
      const tools = TOOLS.map(name =>
        tool(({ city }: { city: string }) => run(name, city), { name, description: `The tool ${name}.`, schema: CITY }),
      )
      const bound = model.bindTools(tools) as unknown as Pick<ChatOpenAI, 'invoke' | 'stream'>
      const messages: BaseMessage[] = [...after, new HumanMessage(prompt)]
      for (;;) {
        const answer = await complete(bound, messages, asking)
        messages.push(answer)
        const calls = answer.tool_calls ?? []
        if (calls.length === 0) return { text: answer.text, history: messages }
        for (const call of calls) {
          const found = tools.find(t => t.name === call.name)
          const output: unknown = await found?.invoke({ ...call, type: 'tool_call' })
          if (!(output instanceof ToolMessage)) throw new Error('expected the message of a tool')
          messages.push(output)
        }
      }
    },
    structured: prompt => (model as ChatOpenAI).withStructuredOutput(CITY, { method: 'jsonSchema' }).invoke(prompt),
  }
}

const openAiErrors = {
  refused: { type: OpenAI.PermissionDeniedError, like: { status: 403 } },
  limited: { type: OpenAI.RateLimitError, like: { status: 429 } },
  heldByError: { type: OpenAI.PermissionDeniedError, like: { status: 403, code: 'escalated' } },
  aborted: { type: OpenAI.APIError, like: { code: 'marker', type: 'signet_refusal' } },
  heldInStream: { type: OpenAI.APIError, like: { code: 'escalated', type: 'signet_refusal' } },
} as const

function openAi(useResponsesApi: boolean): Pick<Client<readonly BaseMessage[]>, 'connect' | 'errors'> {
  return {
    connect: (gate, { owner, retries }) =>
      connected(
        new ChatOpenAI({
          model: 'gpt-5-mini',
          apiKey: 'sk-none',
          maxRetries: retries,
          useResponsesApi,
          configuration: {
            baseURL: `${gate.url}/v1`,
            defaultHeaders: owner === undefined ? {} : { 'X-Commit-Owner': owner },
          },
        }),
      ),
    errors: openAiErrors,
  }
}

clientSuite({
  name: '@langchain/openai, chat',
  startUpstream: startChatUpstream,
  ...openAi(false),
  takes202: { type: TypeError },
})

clientSuite({
  name: '@langchain/openai, responses',
  startUpstream: startResponsesUpstream,
  ...openAi(true),
  takes202: { type: TypeError },
})

clientSuite({
  name: '@langchain/anthropic',
  startUpstream: startAnthropicUpstream,
  connect: (gate, { owner, retries }) =>
    connected(
      new ChatAnthropic({
        model: 'claude-sonnet-4-5',
        apiKey: 'sk-none',
        anthropicApiUrl: gate.url,
        maxRetries: retries,
        clientOptions: { defaultHeaders: owner === undefined ? {} : { 'X-Commit-Owner': owner } },
      }),
    ),
  // It brings its own version of the SDK.
  errors: {
    refused: { type: 'PermissionDeniedError', like: { status: 403 } },
    limited: { type: 'RateLimitError', like: { status: 429 } },
    heldByError: { type: 'PermissionDeniedError', like: { status: 403 } },
    aborted: { type: 'APIError', like: { type: 'permission_error' } },
    heldInStream: { type: 'APIError', like: { type: 'permission_error' } },
  },
  takes202: { type: TypeError },
})
