/** The `ai` package with its OpenAI and Anthropic providers, unmodified, against the gate. */
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import {
  APICallError,
  generateText,
  isStepCount,
  type LanguageModel,
  type ModelMessage,
  Output,
  streamText,
  tool,
} from 'ai'
import { z } from 'zod'
import { startAnthropicUpstream } from './anthropic-upstream.ts'
import { startChatUpstream } from './chat-upstream.ts'
import { type Asking, type Client, type Connected, clientSuite, TOOLS } from './contract.ts'
import { startResponsesUpstream } from './responses-upstream.ts'

const CITY = z.object({ city: z.string() })

type Run = (name: string, city: string) => string

function connected(model: LanguageModel, maxRetries: number): Connected<readonly ModelMessage[]> {
  const toolsOf = (run: Run) =>
    Object.fromEntries(
      TOOLS.map(name => [
        name,
        tool({ description: `The tool ${name}.`, inputSchema: CITY, execute: ({ city }) => run(name, city) }),
      ]),
    )
  async function complete(
    messages: readonly ModelMessage[],
    run: Run | undefined,
    { streamed, signal, onText }: Asking,
  ) {
    const request = {
      model,
      maxRetries,
      messages: [...messages],
      ...(signal === undefined ? {} : { abortSignal: signal }),
      ...(run === undefined ? {} : { tools: toolsOf(run), stopWhen: isStepCount(4) }),
    }
    if (!streamed) {
      const { text, responseMessages } = await generateText(request)
      return { text, history: [...messages, ...responseMessages] }
    }
    const result = streamText({ ...request, onError: () => undefined })
    for await (const part of result.stream) {
      if (part.type === 'text-delta') onText?.(part.text)
      if (part.type === 'error') throw part.error
    }
    return { text: await result.text, history: [...messages, ...(await result.responseMessages)] }
  }
  return {
    ask: async (prompt, asking) => (await complete([{ role: 'user', content: prompt }], undefined, asking)).text,
    loop: (prompt, asking, run, after = []) => complete([...after, { role: 'user', content: prompt }], run, asking),
    structured: async prompt =>
      (await generateText({ model, maxRetries, prompt, output: Output.object({ schema: CITY }) })).output,
  }
}

/** The OpenAI provider reads an error only in an object of that name, and says `Forbidden` otherwise; the body is there. */
const words = (error: unknown) => `${String(error)} ${APICallError.isInstance(error) ? error.responseBody : ''}`

const errors = {
  refused: { type: APICallError, like: { statusCode: 403, isRetryable: false } },
  limited: { type: APICallError, like: { statusCode: 429, isRetryable: true } },
  heldByError: { type: APICallError, like: { statusCode: 403 } },
  aborted: { type: 'StreamProviderError', like: { type: 'signet_refusal', code: 'marker' } },
  heldInStream: { type: 'StreamProviderError', like: { type: 'signet_refusal', code: 'escalated' } },
} as const

const named = (owner: string | undefined): Record<string, string> =>
  owner === undefined ? {} : { 'X-Commit-Owner': owner }

/** On chat the error is read as the API itself would say it. */
const inChat = { type: 'StreamProviderError', like: { type: 'permission_error', statusCode: 403, isRetryable: false } }

function openAi(surface: 'chat' | 'responses'): Pick<Client<readonly ModelMessage[]>, 'connect' | 'errors' | 'words'> {
  return {
    connect: (gate, { owner, retries }) => {
      const provider = createOpenAI({ apiKey: 'sk-none', baseURL: `${gate.url}/v1`, headers: named(owner) })
      return connected(provider[surface]('gpt-5-mini'), retries)
    },
    errors,
    words,
  }
}

clientSuite({
  name: 'ai with @ai-sdk/openai, chat',
  startUpstream: startChatUpstream,
  ...openAi('chat'),
  errors: { ...errors, aborted: inChat, heldInStream: inChat },
  takes202: { type: APICallError },
})

clientSuite({
  name: 'ai with @ai-sdk/openai, responses',
  startUpstream: startResponsesUpstream,
  ...openAi('responses'),
  // It names what upstream keeps by its id, the notice too.
  echo: 'signet refused a tool call',
  takes202: { type: APICallError },
})

clientSuite({
  name: 'ai with @ai-sdk/anthropic',
  startUpstream: startAnthropicUpstream,
  connect: (gate, { owner, retries }) => {
    const provider = createAnthropic({ apiKey: 'sk-none', baseURL: `${gate.url}/v1`, headers: named(owner) })
    return connected(provider('claude-sonnet-4-5'), retries)
  },
  errors: {
    ...errors,
    aborted: { type: 'StreamProviderError', like: { type: 'permission_error', statusCode: 403 } },
    heldInStream: { type: 'StreamProviderError', like: { type: 'permission_error', statusCode: 403 } },
  },
  takes202: { type: APICallError },
})
