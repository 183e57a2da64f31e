/** A gate in front of each surface's own model, and what to ask it for. */
import type { JSONWebKeySet } from 'jose'
import type { VerifySettings } from '../../src/clients/gate-fetch.ts'
import { LEAK_MARKER } from '../../src/upstream/demo/script.ts'
import { startAnthropicUpstream } from '../clients/anthropic-upstream.ts'
import { startResponsesUpstream } from '../clients/responses-upstream.ts'
import { ISSUER, startTestGate, type TestGate, type TestGateOptions } from '../support/gate.ts'

export type SurfaceName = 'chat' | 'responses' | 'messages'
export const SURFACES: readonly SurfaceName[] = ['chat', 'responses', 'messages']

export interface Surface {
  readonly gate: TestGate
  readonly verify: VerifySettings
  /** Requests that reached the model. */
  forwarded(): number
  close(): Promise<void>
}

export async function startSurface(name: SurfaceName, options: TestGateOptions = {}): Promise<Surface> {
  const upstream =
    name === 'chat' ? undefined : name === 'responses' ? await startResponsesUpstream() : await startAnthropicUpstream()
  const gate = await startTestGate({ ...options, ...(upstream === undefined ? {} : { upstreamUrl: upstream.url }) })
  const keys = (await (await fetch(`${gate.url}/.well-known/jwks.json`)).json()) as JSONWebKeySet
  return {
    gate,
    verify: { keys, issuer: ISSUER },
    forwarded: () => upstream?.seen.length ?? gate.upstreamRequests(),
    close: async () => {
      const report = await gate.verify()
      await gate.close()
      await upstream?.close()
      if (!report.ok) throw new Error('the log of the gate does not verify')
    },
  }
}

const hex = (text: string) => `hex: ${Buffer.from(text).toString('hex')}`
const LEAK = 'The plan is simple. SECRET//NOFORN convoy at dawn.'

/** What is said before the marker of `leak` is the same everywhere. */
export const BEFORE = 'The plan is simple. '

export const ASK: Readonly<
  Record<
    SurfaceName,
    {
      readonly hello: readonly [string, string]
      readonly leak: string
      /** Offends with its first character, where the model can be made to. */
      readonly leakAtOnce: string | undefined
      readonly call: (name: 'get_weather' | 'delete_account' | 'issue_refund') => string
      readonly toolSaid: string
    }
  >
> = {
  chat: {
    hello: ['Say hello', 'Hello.'],
    leak: 'Tell me the secret plan',
    leakAtOnce: undefined,
    call: name =>
      ({
        get_weather: 'What is the weather in Oslo?',
        delete_account: 'Please delete account 77',
        issue_refund: 'Please refund 50000 to account X',
      })[name],
    toolSaid: 'The tool answered: ',
  },
  responses: {
    hello: ['Hello there', 'You said: Hello there'],
    leak: 'the secret plan',
    leakAtOnce: hex(LEAK_MARKER),
    call: name => `${name}()`,
    toolSaid: 'The tool answered: ',
  },
  messages: {
    hello: ['say: Hello.', 'Hello.'],
    leak: hex(LEAK),
    leakAtOnce: hex(LEAK_MARKER),
    call: name => `call: ${name}`,
    toolSaid: 'The tools said ',
  },
}
