/** Every call carrier of chat completions. */
import { type Fields, type Patch, streamed, whole } from './chat-answers.ts'
import type { CallBuilder, Place, ProposedCall } from './surface.ts'

/** The first fragment names the call; the arguments follow, a piece at a time. */
function fragments(
  calls: readonly ProposedCall[],
  fragment: (index: number, first: boolean, call: ProposedCall, piece: string) => Patch,
): Patch[] {
  return calls.flatMap((call, index) => [
    fragment(index, true, call, ''),
    ...call.argumentPieces.map(piece => fragment(index, false, call, piece)),
  ])
}

const id = (place: Place, index: number) => `call_${place.choice}_${index}`

function plain(place: Place) {
  return (index: number, first: boolean, call: ProposedCall, piece: string): Patch => ({
    message: {
      tool_calls: [
        first
          ? { index, id: id(place, index), type: 'function', function: { name: call.name, arguments: piece } }
          : { index, function: { arguments: piece } },
      ],
    },
  })
}

function custom(place: Place) {
  return (index: number, first: boolean, call: ProposedCall, piece: string): Patch => ({
    message: {
      tool_calls: [
        first
          ? { index, id: id(place, index), type: 'custom', custom: { name: call.name, input: piece } }
          : { index, custom: { input: piece } },
      ],
    },
  })
}

const legacy = (_index: number, first: boolean, call: ProposedCall, piece: string): Patch => ({
  message: { function_call: first ? { name: call.name, arguments: piece } : { arguments: piece } },
})

const wholeCalls = (calls: readonly ProposedCall[], place: Place): Fields => ({
  tool_calls: calls.map((call, index) => ({
    id: id(place, index),
    type: 'function',
    function: { name: call.name, arguments: call.argumentPieces.join('') },
  })),
})

export const CHAT_CALLS: Readonly<Record<string, CallBuilder>> = {
  'tool_calls[].function.arguments': {
    form: 'json',
    answer: (calls, place) =>
      place.mode === 'stream'
        ? streamed(fragments(calls, plain(place)), place, 'tool_calls')
        : whole({ message: wholeCalls(calls, place) }, place, 'tool_calls'),
  },
  'tool_calls[].custom.input': {
    form: 'text',
    answer: (calls, place) =>
      place.mode === 'stream'
        ? streamed(fragments(calls, custom(place)), place, 'tool_calls')
        : whole(
            {
              message: {
                tool_calls: calls.map((call, index) => ({
                  id: id(place, index),
                  type: 'custom',
                  custom: { name: call.name, input: call.argumentPieces.join('') },
                })),
              },
            },
            place,
            'tool_calls',
          ),
  },
  'function_call.arguments': {
    form: 'json',
    single: true,
    answer: (calls, place) =>
      place.mode === 'stream'
        ? streamed(fragments(calls.slice(0, 1), legacy), place, 'function_call')
        : whole(
            {
              message: {
                function_call: { name: calls[0]?.name, arguments: calls[0]?.argumentPieces.join('') },
              },
            },
            place,
            'function_call',
          ),
  },
  'other message tool_calls[].function.arguments': {
    form: 'json',
    answer: (calls, place) =>
      place.mode === 'stream'
        ? streamed([{ other: wholeCalls(calls, place) }], place, 'tool_calls')
        : whole(
            {
              other: {
                tool_calls: calls.map((call, index) => ({
                  index,
                  id: id(place, index),
                  type: 'function',
                  function: { name: call.name, arguments: call.argumentPieces.join('') },
                })),
              },
            },
            place,
            'tool_calls',
          ),
  },
}
