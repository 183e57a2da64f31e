/** Which stream events carry which text, and in which field. */

/**
 * A text that comes in pieces, is then said whole (`*.done`), and repeats in every snapshot. `content`, `refusal`,
 * `reasoning` and `summary` join over blocks; the others are a text per item.
 */
export type SlotKind = 'content' | 'refusal' | 'reasoning' | 'summary' | 'transcript' | 'code' | 'mcp'

export interface TextEvent {
  readonly slot: SlotKind
  /** The member that holds the text: a piece of it, or the whole. */
  readonly field: string
  readonly mode: 'piece' | 'whole'
}

export interface CallEvent {
  readonly field: string
  readonly mode: 'piece' | 'whole' | 'command'
}

const piece = (slot: SlotKind): TextEvent => ({ slot, field: 'delta', mode: 'piece' })
const whole = (slot: SlotKind, field: string): TextEvent => ({ slot, field, mode: 'whole' })

export const TEXT_EVENTS: ReadonlyMap<string, TextEvent> = new Map([
  ['response.output_text.delta', piece('content')],
  ['response.output_text.done', whole('content', 'text')],
  ['response.refusal.delta', piece('refusal')],
  ['response.refusal.done', whole('refusal', 'refusal')],
  ['response.reasoning_text.delta', piece('reasoning')],
  ['response.reasoning_text.done', whole('reasoning', 'text')],
  ['response.reasoning_summary_text.delta', piece('summary')],
  ['response.reasoning_summary_text.done', whole('summary', 'text')],
  ['response.audio.transcript.delta', piece('transcript')],
  ['response.code_interpreter_call_code.delta', piece('code')],
  ['response.code_interpreter_call_code.done', whole('code', 'code')],
  ['response.mcp_call_arguments.delta', piece('mcp')],
  ['response.mcp_call_arguments.done', whole('mcp', 'arguments')],
])

export const CALL_EVENTS: ReadonlyMap<string, CallEvent> = new Map([
  ['response.function_call_arguments.delta', { field: 'delta', mode: 'piece' }],
  ['response.function_call_arguments.done', { field: 'arguments', mode: 'whole' }],
  ['response.custom_tool_call_input.delta', { field: 'delta', mode: 'piece' }],
  ['response.custom_tool_call_input.done', { field: 'input', mode: 'whole' }],
  ['response.shell_call_command.added', { field: 'command', mode: 'command' }],
  ['response.shell_call_command.delta', { field: 'delta', mode: 'command' }],
  ['response.shell_call_command.done', { field: 'command', mode: 'command' }],
])

/** Events that carry the whole response, and whether it ends there. */
export const LIFECYCLE: ReadonlyMap<string, boolean> = new Map([
  ['response.created', false],
  ['response.queued', false],
  ['response.in_progress', false],
  ['response.completed', true],
  ['response.incomplete', true],
  ['response.failed', true],
])

export const ITEM_EVENTS: ReadonlySet<string> = new Set(['response.output_item.added', 'response.output_item.done'])

export const PART_EVENTS: ReadonlySet<string> = new Set([
  'response.content_part.added',
  'response.content_part.done',
  'response.reasoning_summary_part.added',
  'response.reasoning_summary_part.done',
])

/** Event names are constants; any other value of `type` is text. */
export const EVENT_NAMES: ReadonlySet<string> = new Set([
  ...TEXT_EVENTS.keys(),
  ...CALL_EVENTS.keys(),
  ...LIFECYCLE.keys(),
  ...ITEM_EVENTS,
  ...PART_EVENTS,
  'response.output_text.annotation.added',
  'response.audio.delta',
  'response.audio.done',
  'response.audio.transcript.done',
  'response.code_interpreter_call.in_progress',
  'response.code_interpreter_call.interpreting',
  'response.code_interpreter_call.completed',
  'response.file_search_call.in_progress',
  'response.file_search_call.searching',
  'response.file_search_call.completed',
  'response.web_search_call.in_progress',
  'response.web_search_call.searching',
  'response.web_search_call.completed',
  'response.image_generation_call.in_progress',
  'response.image_generation_call.generating',
  'response.image_generation_call.partial_image',
  'response.image_generation_call.completed',
  'response.mcp_call.in_progress',
  'response.mcp_call.completed',
  'response.mcp_call.failed',
  'response.mcp_list_tools.in_progress',
  'response.mcp_list_tools.completed',
  'response.mcp_list_tools.failed',
  'response.shell_call_output_content.delta',
  'response.shell_call_output_content.done',
  'response.compaction.compacting',
  'keepalive',
  'error',
])
