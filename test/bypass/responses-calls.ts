/** Every call carrier of Responses. */
import { added, done, type Event, type Fields, type Told, together, told, verbatim } from './responses-answers.ts'
import type { CallBuilder, ProposedCall } from './surface.ts'

type Tell = (call: ProposedCall, output: number) => Told

function calls(tell: Tell, rest: Omit<CallBuilder, 'answer'>): CallBuilder {
  return { ...rest, answer: (list, place) => told(together(...list.map((call, i) => tell(call, i))), place) }
}

const args = (call: ProposedCall) => call.argumentPieces.join('')

function itemOf(type: string, output: number, members: Fields): Fields {
  return { id: `it_${output}`, type, status: 'completed', call_id: `call_${output}`, ...members }
}

/** As the API streams a call: opened, in pieces, whole, and the item whole. */
function streams(type: string, event: string, field: string): Tell {
  return (call, output) => {
    const whole = itemOf(type, output, { name: call.name, [field]: args(call) })
    const at = { item_id: whole['id'], output_index: output }
    return {
      events: [
        added({ ...whole, status: 'in_progress', [field]: '' }, output),
        ...call.argumentPieces.map((delta): Event => ({ type: `response.${event}.delta`, members: { ...at, delta } })),
        { type: `response.${event}.done`, members: { ...at, [field]: args(call) } },
        done(whole, output),
      ],
      output: [whole],
    }
  }
}

/** A call whose item is said whole. `open` is what stands for its body while it is not. */
function said(type: string, members: (call: ProposedCall) => Fields, open: Fields = {}): Tell {
  return (call, output) => {
    const whole = itemOf(type, output, members(call))
    return {
      events: [added({ ...whole, status: 'in_progress', ...open }, output), done(whole, output)],
      output: [whole],
    }
  }
}

/** Tools of the API's own have one name each; what they are asked to do decides (see `checks.ts`). */
const fixed = (name: string) => ({ form: 'json', called: () => name }) as const
const raw = (call: ProposedCall) => verbatim(args(call))

export const RESPONSES_CALLS: Readonly<Record<string, CallBuilder>> = {
  'function_call.arguments': calls(streams('function_call', 'function_call_arguments', 'arguments'), { form: 'json' }),
  'function_call without deltas': calls(
    said('function_call', call => ({ name: call.name, arguments: args(call) }), { arguments: '' }),
    { form: 'json' },
  ),
  'function_call in the final snapshot only': calls(
    (call, output) => ({
      output: [itemOf('function_call', output, { name: call.name, arguments: args(call) })],
    }),
    { form: 'json' },
  ),
  'custom_tool_call.input': calls(streams('custom_tool_call', 'custom_tool_call_input', 'input'), { form: 'text' }),
  'local_shell_call.action': calls(
    said('local_shell_call', call => ({ action: { type: 'exec', command: ['run', raw(call)], env: {} } })),
    fixed('local_shell'),
  ),
  'shell_call.action': calls(
    said('shell_call', call => ({ action: { commands: ['run', raw(call)], timeout_ms: 1000 } }), { action: null }),
    fixed('shell'),
  ),
  'apply_patch_call.operation': calls(
    said('apply_patch_call', call => ({ operation: { type: 'update_file', path: 'a.txt', diff: raw(call) } })),
    fixed('apply_patch'),
  ),
  'computer_call.action': calls(
    said('computer_call', call => ({ action: { type: 'type', text: raw(call) }, pending_safety_checks: [] })),
    fixed('computer'),
  ),
  'tool_search_call.arguments': calls(
    said('tool_search_call', call => ({ execution: 'client', arguments: raw(call) })),
    fixed('tool_search'),
  ),
  'mcp_approval_request.arguments': calls(
    said('mcp_approval_request', call => ({ server_label: call.name, name: 'roll', arguments: args(call) })),
    { form: 'json', called: name => `upstream:mcp:${name}` },
  ),
  'unknown call item': calls(
    said('dance_call', call => ({ name: call.name, steps: raw(call) })),
    { form: 'json', channel: /^(call:|\/item\/dance_call\/)/ },
  ),
}
