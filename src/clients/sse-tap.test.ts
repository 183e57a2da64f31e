import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type TapHooks, tapSse } from './sse-tap.ts'

const TEXT = 'data: {"a":"é"}\n\n'
const ABORT = 'data: {"signet_abort":true,"reason":"r","correlation_id":"c","stage":"inspection"}\n\ndata: [DONE]\n\n'
const SIGNED = ': signet-receipt a.b.c\n\n'
const DONE = 'data: [DONE]\n\n'

interface Seen {
  readonly text: string
  readonly error: string | undefined
  readonly receipts: readonly string[]
  readonly verified: readonly string[]
}

/** Everything a reader gets from `body` when the network cuts it at these places. */
async function tap(
  body: string,
  cuts: readonly number[],
  verify: 'good' | 'bad' | undefined,
  over: Partial<TapHooks> = {},
): Promise<Seen> {
  const bytes = Buffer.from(body)
  const places = [0, ...[...new Set(cuts)].filter(at => at < bytes.length).sort((a, b) => a - b), bytes.length]
  const pieces = places.slice(1).map((to, index) => new Uint8Array(bytes.subarray(places[index], to)))
  const receipts: string[] = []
  const verified: string[] = []
  const source = new ReadableStream<Uint8Array>({
    pull: controller => {
      const piece = pieces.shift()
      if (piece === undefined) controller.close()
      else controller.enqueue(piece)
    },
  })
  const tapped = tapSse(source, new Headers(), {
    onReceipt: compact => receipts.push(compact),
    onAbort: ({ facts }) => new Error(`abort ${facts.correlationId}`),
    verify:
      verify === undefined
        ? undefined
        : async whole => {
            verified.push(Buffer.from(whole).toString())
            if (verify === 'bad') throw new Error('unverified')
          },
    ...over,
  })
  const out: Uint8Array[] = []
  let error: string | undefined
  try {
    for await (const piece of tapped) out.push(piece)
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.message : 'odd'
  }
  return { text: Buffer.concat(out).toString(), error, receipts, verified }
}

const bodies = [
  TEXT + SIGNED + DONE,
  TEXT + TEXT + ABORT,
  (TEXT + SIGNED + DONE).replaceAll('\n', '\r\n'),
  (TEXT + SIGNED + DONE).replaceAll('\n', '\r'),
  TEXT + SIGNED,
  TEXT,
  '',
  `data: ${'x'.repeat(70_000)}\n\n${DONE}`,
]

/** What must not depend on the cuts: an aborted or unverified line itself may have begun, its end never passes. */
describe('reading along on a stream', () => {
  it.each(bodies.map((body, index) => [index, body] as const))(
    'body %i: any cut of the bytes gives the same bytes, receipts and error',
    async (_, body) => {
      const limit = Buffer.byteLength(body)
      for (const verify of [undefined, 'good', 'bad'] as const) {
        const whole = await tap(body, [], verify)
        await fc.assert(
          fc.asyncProperty(fc.array(fc.nat(limit), { maxLength: 12 }), async cuts => {
            const seen = await tap(body, cuts, verify)
            expect({ ...seen, text: '' }).toEqual({ ...whole, text: '' })
            expect(body.startsWith(seen.text)).toBe(true)
            if (whole.error === undefined) expect(seen.text).toBe(body)
            else expect(seen.text.startsWith(whole.text)).toBe(true)
          }),
          { numRuns: 30 },
        )
      }
    },
  )

  it('an abort comes after everything before it, and its line never ends', async () => {
    const every = Array.from({ length: 200 }, (_, at) => at)
    for (const cuts of [[], every]) {
      const { text, error } = await tap(TEXT + ABORT, cuts, undefined)
      expect(error).toBe('abort c')
      expect(text.startsWith(TEXT)).toBe(true)
      expect(text.slice(TEXT.length)).not.toMatch(/[\r\n]/)
    }
  })

  it('with verification, the end marker passes only when what precedes it was found good', async () => {
    const body = TEXT + SIGNED + DONE
    const good = await tap(body, [], 'good')
    expect(good).toMatchObject({ text: body, error: undefined })
    expect(good.verified).toEqual([body])
    const bad = await tap(body, [], 'bad')
    expect(bad).toMatchObject({ text: TEXT + SIGNED, error: 'unverified' })
  })

  it('a stream that just stops is verified at its last byte', async () => {
    expect(await tap(TEXT, [3], 'bad')).toMatchObject({ error: 'unverified', verified: [TEXT] })
  })

  it('with verification, message_stop is an end mark, and what follows one waits too', async () => {
    const stop = 'event: message_stop\ndata: {"type": "message_stop"}\n\n'
    for (const end of [stop, DONE + TEXT, stop + DONE]) {
      const body = TEXT + SIGNED + end
      const bad = await tap(body, [], 'bad')
      expect(bad.error).toBe('unverified')
      expect(bad.text).not.toMatch(/data: (?:\[DONE\]|\{"type")/)
      expect(bad.text.split(TEXT)).toHaveLength(2)
      expect(await tap(body, [], 'good')).toMatchObject({ text: body, verified: [body] })
    }
  })

  it('an abort can be exchanged for another line, which ends the stream, however it is cut', async () => {
    const body = TEXT + ABORT
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(body.length), { maxLength: 12 }), async cuts => {
        const { text, error } = await tap(body, cuts, undefined, { onAbort: () => 'data: {"error":1}' })
        expect([text, error]).toEqual([`${TEXT}data: {"error":1}\n\n`, undefined])
      }),
      { numRuns: 50 },
    )
  })

  it('payloads are shown until one is enough', async () => {
    const shown: string[] = []
    await tap(`${TEXT}data: 2\n\ndata: 3\n\n`, [3, 9], undefined, { onPayload: payload => shown.push(payload) < 2 })
    expect(shown).toEqual(['{"a":"é"}', '2'])
  })
})
