/** The OpenAI Responses surface, `POST /v1/responses`. */
import type { Carrier, Dialect } from '../core/wire.ts'
import { openAnswer } from './open-answer.ts'
import { MAX_UNARY_BYTES } from './reading.ts'
import { openAiRefusal } from './refusal.ts'
import { continueResponses } from './responses-continue.ts'
import { MAX_RESPONSES_EVENT_BYTES, readResponsesBody, readResponsesStream } from './responses-reader.ts'
import { readResponsesRequest } from './responses-request.ts'
import { ResponsesWriter } from './responses-writer.ts'
import { writeJsonRequest } from './write-request.ts'

export interface ResponsesOptions {
  /** Longest stream event, bytes. */
  readonly maxEventBytes?: number
  /** Longest unary answer, bytes. */
  readonly maxUnaryBytes?: number
}

const BOTH = ['unary', 'stream'] as const
const STREAM = ['stream'] as const

const CARRIERS: readonly Carrier[] = [
  { kind: 'text', name: 'output_text', modes: BOTH },
  { kind: 'text', name: 'output_text.done', modes: STREAM },
  { kind: 'text', name: 'content_part.added', modes: STREAM },
  { kind: 'text', name: 'content_part.done', modes: STREAM },
  { kind: 'text', name: 'output_item.done message', modes: STREAM },
  { kind: 'text', name: 'completed message', modes: STREAM },
  { kind: 'text', name: 'incomplete message', modes: STREAM },
  { kind: 'text', name: 'refusal', modes: BOTH },
  { kind: 'text', name: 'refusal.done', modes: STREAM },
  { kind: 'text', name: 'reasoning summary', modes: BOTH },
  { kind: 'text', name: 'reasoning_summary_text.done', modes: STREAM },
  { kind: 'text', name: 'reasoning_summary_part.done', modes: STREAM },
  { kind: 'text', name: 'reasoning content', modes: BOTH },
  { kind: 'text', name: 'reasoning_text.done', modes: STREAM },
  { kind: 'text', name: 'audio.transcript', modes: BOTH },
  { kind: 'text', name: 'logprobs[].token', modes: BOTH },
  { kind: 'text', name: 'logprobs[].bytes', modes: BOTH },
  { kind: 'text', name: 'logprobs[].top_logprobs[].token', modes: BOTH },
  { kind: 'text', name: 'annotations', modes: BOTH },
  { kind: 'text', name: 'output_text.annotation.added', modes: STREAM },
  { kind: 'text', name: 'code_interpreter_call.code', modes: BOTH },
  { kind: 'text', name: 'code_interpreter_call.outputs', modes: BOTH },
  { kind: 'text', name: 'mcp_call.arguments', modes: BOTH },
  { kind: 'text', name: 'mcp_call.output', modes: BOTH },
  { kind: 'text', name: 'mcp_list_tools.tools', modes: BOTH },
  { kind: 'text', name: 'web_search_call.action', modes: BOTH },
  { kind: 'text', name: 'file_search_call.results', modes: BOTH },
  { kind: 'text', name: 'image_generation_call.revised_prompt', modes: BOTH },
  { kind: 'text', name: 'shell_call_output.output', modes: BOTH },
  { kind: 'text', name: 'shell_call_output_content.delta', modes: STREAM },
  { kind: 'text', name: 'unknown item', modes: BOTH },
  { kind: 'text', name: 'unknown content part', modes: BOTH },
  { kind: 'text', name: 'unknown event', modes: STREAM },
  { kind: 'text', name: 'unknown field', modes: BOTH },
  { kind: 'text', name: 'unknown field of an item', modes: BOTH },
  { kind: 'text', name: 'unknown key', modes: BOTH },
  { kind: 'text', name: 'id', modes: BOTH },
  { kind: 'text', name: 'item id', modes: BOTH },
  { kind: 'text', name: 'model', modes: BOTH },
  { kind: 'text', name: 'status', modes: BOTH },
  { kind: 'text', name: 'incomplete_details.reason', modes: BOTH },
  { kind: 'text', name: 'error.message', modes: BOTH },
  { kind: 'text', name: 'metadata', modes: BOTH },
  { kind: 'text', name: 'instructions', modes: BOTH },
  { kind: 'text', name: 'top-level output_text', modes: BOTH },
  { kind: 'text', name: 'role', modes: BOTH },
  { kind: 'text', name: 'obfuscation', modes: STREAM },
  { kind: 'text', name: 'event type', modes: STREAM },
  { kind: 'text', name: 'comment line', modes: STREAM },
  { kind: 'text', name: 'event line', modes: STREAM },
  { kind: 'text', name: 'id line', modes: STREAM },
  { kind: 'text', name: 'retry line', modes: STREAM },
  { kind: 'text', name: 'unknown line', modes: STREAM },
  { kind: 'call', name: 'function_call.arguments', modes: BOTH },
  { kind: 'call', name: 'function_call without deltas', modes: STREAM },
  { kind: 'call', name: 'function_call in the final snapshot only', modes: STREAM },
  { kind: 'call', name: 'custom_tool_call.input', modes: BOTH },
  { kind: 'call', name: 'local_shell_call.action', modes: BOTH },
  { kind: 'call', name: 'shell_call.action', modes: BOTH },
  { kind: 'call', name: 'apply_patch_call.operation', modes: BOTH },
  { kind: 'call', name: 'computer_call.action', modes: BOTH },
  { kind: 'call', name: 'tool_search_call.arguments', modes: BOTH },
  { kind: 'call', name: 'mcp_approval_request.arguments', modes: BOTH },
  { kind: 'call', name: 'unknown call item', modes: BOTH },
]

const UPSTREAM_PATH = '/responses'

export function createResponsesDialect(options: ResponsesOptions = {}): Dialect {
  const maxBytes = options.maxUnaryBytes ?? MAX_UNARY_BYTES
  const maxEventBytes = options.maxEventBytes ?? MAX_RESPONSES_EVENT_BYTES
  return {
    name: 'responses',
    provider: 'openai',
    routes: [
      { method: 'POST', path: '/v1/responses', upstreamPath: UPSTREAM_PATH },
      { method: 'POST', path: '/v1/responses/', upstreamPath: UPSTREAM_PATH },
    ],
    carriers: CARRIERS,
    readRequest: readResponsesRequest,
    writeRequest: writeJsonRequest,
    openResponse: (v, status, contentType) =>
      openAnswer(v, status, contentType, {
        body: isError => readResponsesBody({ maxBytes, isError }),
        stream: () => readResponsesStream(maxEventBytes),
      }),
    openWriter: v => new ResponsesWriter(v),
    refuse: openAiRefusal,
    continueRequest: continueResponses,
  }
}

export const responsesDialect: Dialect = createResponsesDialect()
