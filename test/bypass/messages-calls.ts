/** Every call carrier of Messages. */
import { begin, END, finish, json, start, stop } from '../../src/dialects/messages.test-support.ts'
import { message, streamed, whole } from './messages-answers.ts'
import type { CallBuilder, ProposedCall } from './surface.ts'

/** Stands for an input, which is then written as the call spells it. */
const slot = (i: number) => `slot ${i}`

function spell(text: string, calls: readonly ProposedCall[]): string {
  return calls.reduce((done, call, i) => done.replace(`"${slot(i)}"`, () => call.argumentPieces.join('')), text)
}

const block = (type: string, call: ProposedCall, index: number, input: unknown) => ({
  type,
  id: `toolu_${index}`,
  name: call.name,
  input,
})
const given = (type: string, calls: readonly ProposedCall[]) => calls.map((call, i) => block(type, call, i, slot(i)))
const ended = (events: string) => streamed(start() + events + finish('tool_use') + END)

function continued(type: string): CallBuilder {
  return {
    form: 'json',
    answer: (calls, { mode }) =>
      mode === 'unary'
        ? whole(spell(JSON.stringify(message(given(type, calls), { stop_reason: 'tool_use' })), calls))
        : ended(
            calls
              .map((call, i) => {
                const pieces = call.argumentPieces.map(piece => json(i, piece)).join('')
                return begin(i, block(type, call, i, {})) + pieces + stop(i)
              })
              .join(''),
          ),
  }
}

export const MESSAGES_CALLS: Readonly<Record<string, CallBuilder>> = {
  'tool_use.input': continued('tool_use'),
  'content_block_start tool_use.input': {
    form: 'json',
    answer: calls =>
      ended(
        spell(
          given('tool_use', calls)
            .map((one, i) => begin(i, one) + stop(i))
            .join(''),
          calls,
        ),
      ),
  },
  'message_start tool_use.input': {
    form: 'json',
    answer: calls => streamed(spell(start({ content: given('tool_use', calls) }), calls) + finish('tool_use') + END),
  },
  'unknown tool_use block': continued('local_tool_use'),
}
