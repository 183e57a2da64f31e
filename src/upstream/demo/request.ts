/** The part of a chat completions request that the demo model looks at. */

import { readScenario, type Scenario } from './scenario.ts'
import type { DemoMessage } from './script.ts'

export interface DemoRequest {
  readonly model: string
  readonly messages: readonly DemoMessage[]
  readonly tools: readonly string[] | undefined
  readonly mayCall: boolean
  readonly stream: boolean
  readonly includeUsage: boolean
  readonly n: number
  /** In tokens of four characters, as the demo counts them. */
  readonly maxTokens: number | undefined
  readonly scenario: Scenario
}

/** The request, or what is wrong with it. */
export function readDemoRequest(body: string): DemoRequest | string {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    return 'the body is not JSON'
  }
  if (!isRecord(json)) return 'the body is not a JSON object'
  if (!Array.isArray(json['messages'])) return 'messages: expected a list'
  const scenario = readScenario(json['metadata'])
  if (typeof scenario === 'string') return scenario
  const n = json['n'] ?? 1
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 1 || n > 128)
    return 'n: expected a whole number from 1 to 128'
  const maxTokens = json['max_completion_tokens'] ?? json['max_tokens']
  const streamOptions = json['stream_options']
  return {
    model: typeof json['model'] === 'string' ? json['model'] : 'demo',
    messages: (json['messages'] as readonly unknown[]).map(readMessage),
    tools: Array.isArray(json['tools']) ? (json['tools'] as readonly unknown[]).map(toolName) : undefined,
    mayCall: json['tool_choice'] !== 'none',
    stream: json['stream'] === true,
    includeUsage: isRecord(streamOptions) && streamOptions['include_usage'] === true,
    n,
    maxTokens: typeof maxTokens === 'number' && maxTokens > 0 ? Math.ceil(maxTokens) : undefined,
    scenario,
  }
}

function readMessage(message: unknown): DemoMessage {
  if (!isRecord(message)) return { role: '', text: '' }
  const { role, content } = message
  const parts = Array.isArray(content) ? (content as readonly unknown[]) : [content]
  return { role: typeof role === 'string' ? role : '', text: parts.map(partText).filter(Boolean).join('\n') }
}

function partText(part: unknown): string {
  if (typeof part === 'string') return part
  return isRecord(part) && typeof part['text'] === 'string' ? part['text'] : ''
}

function toolName(tool: unknown): string {
  if (!isRecord(tool)) return ''
  const described = isRecord(tool['function']) ? tool['function'] : isRecord(tool['custom']) ? tool['custom'] : tool
  return typeof described['name'] === 'string' ? described['name'] : ''
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
