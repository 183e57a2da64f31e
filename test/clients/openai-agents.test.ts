/** `@openai/agents`, unmodified, on both of its models, against the gate. */
import {
  Agent,
  type AgentInputItem,
  MaxTurnsExceededError,
  OpenAIChatCompletionsModel,
  OpenAIResponsesModel,
  Runner,
  setTracingDisabled,
  tool,
  user,
} from '@openai/agents'
import OpenAI from 'openai'
import { z } from 'zod'
import { startChatUpstream } from './chat-upstream.ts'
import { type Asking, type Client, type Connected, clientSuite, TOOLS } from './contract.ts'
import { startResponsesUpstream } from './responses-upstream.ts'

const CITY = z.object({ city: z.string() })

type Run = (name: string, city: string) => string

// Traces go to OpenAI by default, past any base URL.
setTracingDisabled(true)

function connected(model: OpenAIChatCompletionsModel | OpenAIResponsesModel): Connected<AgentInputItem[]> {
  const runner = new Runner({ tracingDisabled: true })
  async function complete(items: AgentInputItem[], run: Run | undefined, { streamed, signal, onText }: Asking) {
    const tools =
      run === undefined
        ? []
        : TOOLS.map(name =>
            tool({ name, description: `The tool ${name}.`, parameters: CITY, execute: ({ city }) => run(name, city) }),
          )
    const agent = new Agent({ name: 'Helper', instructions: 'Help.', model, tools })
    const options = signal === undefined ? {} : { signal }
    if (!streamed) {
      const { finalOutput, history } = await runner.run(agent, items, options)
      return { text: finalOutput ?? '', history }
    }
    const result = await runner.run(agent, items, { ...options, stream: true })
    for await (const event of result) {
      if (event.type === 'raw_model_stream_event' && event.data.type === 'output_text_delta') onText?.(event.data.delta)
    }
    await result.completed
    return { text: result.finalOutput ?? '', history: result.history }
  }
  return {
    ask: async (prompt, asking) => (await complete([user(prompt)], undefined, asking)).text,
    loop: (prompt, asking, run, after = []) => complete([...after, user(prompt)], run, asking),
    structured: async prompt => {
      const agent = new Agent({ name: 'Helper', instructions: 'Help.', model, outputType: CITY })
      return (await runner.run(agent, prompt)).finalOutput
    },
  }
}

const errors = {
  refused: { type: OpenAI.PermissionDeniedError, like: { status: 403 } },
  limited: { type: OpenAI.RateLimitError, like: { status: 429 } },
  heldByError: { type: OpenAI.PermissionDeniedError, like: { status: 403, code: 'escalated' } },
  aborted: { type: OpenAI.APIError, like: { code: 'marker', type: 'signet_refusal' } },
  heldInStream: { type: OpenAI.APIError, like: { code: 'escalated', type: 'signet_refusal' } },
} as const

function suite(
  make: (client: OpenAI) => OpenAIChatCompletionsModel | OpenAIResponsesModel,
): Pick<Client<AgentInputItem[]>, 'connect' | 'errors'> {
  return {
    connect: (gate, { owner, retries }) =>
      connected(
        make(
          new OpenAI({
            apiKey: 'sk-none',
            baseURL: `${gate.url}/v1`,
            maxRetries: retries,
            defaultHeaders: owner === undefined ? {} : { 'X-Commit-Owner': owner },
          }),
        ),
      ),
    errors,
  }
}

clientSuite({
  name: '@openai/agents, chat',
  startUpstream: startChatUpstream,
  ...suite(client => new OpenAIChatCompletionsModel(client, 'gpt-5-mini')),
  // It takes the body for an answer without a word, and asks until its turns are over: set `onEscalate: '403'`.
  takes202: { type: MaxTurnsExceededError, asks: 10 },
})

clientSuite({
  name: '@openai/agents, responses',
  startUpstream: startResponsesUpstream,
  ...suite(client => new OpenAIResponsesModel(client, 'gpt-5-mini')),
  takes202: { type: TypeError },
})
