/**
 * The vendors' Python SDKs, unmodified, against the gate. Each script of `python/` runs its scenarios once; each scenario
 * is a test here, by its title. Needs Python 3.11 or later with `venv`, and pip's registry for the first run.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OwnerResolutionCheck } from '../../src/checks/owner-resolution.ts'
import { RateLimitCheck } from '../../src/checks/rate-limit.ts'
import { startTestGate, type TestGate, type TestGateOptions } from '../support/gate.ts'
import { startAnthropicUpstream } from './anthropic-upstream.ts'
import { BYTECODE, pythonWithClients, SCRIPTS } from './python.test-support.ts'
import { startResponsesUpstream } from './responses-upstream.ts'

const run = promisify(execFile)

/** The scenarios that must be there and pass, by script. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'openai_chat.py': [
    'answers, unary, with a receipt',
    'answers, streamed, with usage',
    'answers the asynchronous client, unary and streamed',
    'a refusal is PermissionDeniedError, sent once',
    'a broken request is BadRequestError',
    'an abort in mid-stream is APIError, after the text before it',
    "an abort ends the asynchronous client's stream too",
    'the same refusal, unary, is PermissionDeniedError',
    'the stream accumulator keeps what came before an abort, and raises',
    'a redaction arrives within the accumulated text',
    'an allowed call is run and its result reported',
    'a refused call reads as text and may be echoed back',
    'the other calls of the turn are delivered, whichever is refused',
    'a held call is 202, and an answer without choices to the SDK',
    'a held call ends a stream in APIError, and no call comes',
    'a held call is PermissionDeniedError where the operator wants it',
    'a rate limit is RateLimitError, with the time to wait',
    'structured output is parsed',
  ],
  'openai_responses.py': [
    'answers, unary and streamed, every snapshot in agreement',
    'answers the asynchronous client, unary and streamed',
    'a refusal is PermissionDeniedError',
    'an abort in mid-stream is APIError, after the text before it',
    'the stream accumulator raises for an abort',
    'a redaction arrives within the accumulated text',
    'an allowed call is run and its result reported',
    'a refused call reads as text and may be echoed back',
    'the other calls of the turn are delivered, whichever is refused',
    'a held call is 202, and an answer without output to the SDK',
    'a held call ends a stream in APIError, and no call comes',
    'structured output is parsed',
  ],
  'anthropic_messages.py': [
    'answers, unary, with a receipt',
    'answers, streamed, every snapshot in agreement',
    'answers the asynchronous client, unary and streamed',
    'counts tokens',
    'a refusal is PermissionDeniedError, sent once',
    'a broken request is BadRequestError',
    "an error of upstream is the SDK's own",
    'an abort in mid-stream is APIError, after the text before it',
    "an abort ends the asynchronous client's stream too",
    'the same refusal, unary, is PermissionDeniedError',
    'a redaction arrives within the accumulated text',
    'thinking and its signature come through and go back',
    'an allowed call is run and its result reported',
    'a refused call reads as text and may be echoed back',
    'the other calls of the turn are delivered, whichever is refused',
    'a held call is 202, and an answer without content to the SDK',
    'a held call ends a stream in APIError, and no call comes',
    'a held call is PermissionDeniedError where the operator wants it',
    'a rate limit is RateLimitError, with the time to wait',
    'structured output is parsed',
  ],
  'langchain_models.py': [
    'answers, unary and streamed',
    'answers asynchronously, unary and streamed',
    "a receipt is in the response's metadata, where the model offers headers",
    "a refusal is the SDK's PermissionDeniedError",
    "an abort in mid-stream is the SDK's APIError, after the text before it",
    'an allowed call is run and its result reported',
    'a refused call reads as text and may be echoed back',
    "a held call ends a stream in the SDK's APIError, and no call comes",
    "a held call is the SDK's PermissionDeniedError where the operator wants it",
    'a held call, unary, is an error and never a call',
    "a rate limit is the SDK's RateLimitError",
    'structured output is parsed',
  ],
  'signet_py.py': [
    'wrap_openai fails on a genuine client, as it always did',
    'its headers are understood, each of them',
    "a classification above the clearance is refused with its body's fields",
  ],
}

const opened: { close(): Promise<unknown> }[] = []
const gates: Record<string, TestGate> = {}
const found = new Map<string, ReadonlyMap<string, string | undefined>>()
let python = ''

beforeAll(async () => {
  python = pythonWithClients()
  const messages = await startAnthropicUpstream()
  const responses = await startResponsesUpstream()
  opened.push(messages, responses)
  const limits = () => [new OwnerResolutionCheck(), new RateLimitCheck({ capacity: 1, refillPerSecond: 0.01 })]
  const typed = { settings: { onEscalate: '403' as const } }
  const ofMessages = { upstreamUrl: messages.url }
  const wanted: Readonly<Record<string, TestGateOptions>> = {
    chat: {},
    typed,
    limited: { checks: limits() },
    limited_langchain: { checks: limits() },
    responses: { upstreamUrl: responses.url },
    messages: ofMessages,
    messages_typed: { ...ofMessages, ...typed },
    messages_limited: { ...ofMessages, checks: limits() },
    messages_limited_langchain: { ...ofMessages, checks: limits() },
  }
  for (const [name, options] of Object.entries(wanted)) {
    const gate = await startTestGate(options)
    gates[name] = gate
    opened.push(gate)
  }
  // Side by side: much of each is importing.
  await Promise.all(Object.keys(EXPECTED).map(async script => found.set(script, await outcomes(script))))
}, 300_000)

afterAll(async () => {
  const reports = await Promise.all(Object.values(gates).map(gate => gate.verify()))
  await Promise.all(opened.map(one => one.close()))
  expect(reports.map(report => report.ok)).toEqual(reports.map(() => true))
})

/** The traceback of each scenario of a script, or `undefined` where it passed. */
async function outcomes(script: string): Promise<ReadonlyMap<string, string | undefined>> {
  const addresses = Object.fromEntries(Object.entries(gates).map(([name, gate]) => [name, gate.url]))
  const { stdout } = await run(python, [join(SCRIPTS, script)], {
    // Nothing of the machine's: no keys, no proxies, no other base address.
    env: {
      PATH: process.env['PATH'],
      SIGNET_GATES: JSON.stringify(addresses),
      PYTHONPYCACHEPREFIX: BYTECODE,
      LANGSMITH_TRACING: 'false',
    },
    maxBuffer: 1 << 24,
  })
  const lines = stdout.split('\n').filter(line => line !== '')
  const said = lines.map(line => JSON.parse(line) as { readonly title: string; readonly error?: string })
  return new Map(said.map(({ title, error }) => [title, error]))
}

describe.each(Object.entries(EXPECTED))('%s', (script, titles) => {
  const failures = () => found.get(script) ?? new Map<string, string | undefined>()

  it('runs the scenarios that are listed here, and no other', () => {
    expect([...failures().keys()]).toEqual(titles)
  })

  it.each(titles)('%s', title => {
    expect(failures().has(title)).toBe(true)
    expect(failures().get(title)).toBeUndefined()
  })
})

describe('the command line of the Python implementation', () => {
  it('verifies the log of these exchanges, and finds one changed letter', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'signet-py-'))
    const verify = async (rows: string): Promise<{ readonly ok: boolean; readonly total_entries: number }> => {
      const path = join(folder, 'log.jsonl')
      writeFileSync(path, rows)
      const secret = Buffer.alloc(32, 7).toString('hex')
      const args = ['audit', 'verify', path, '--hmac-secret', secret, '--key-id', 'k1', '--json']
      const { stdout } = await run(join(dirname(python), 'signet'), args).catch((error: { stdout: string }) => error)
      return JSON.parse(stdout)
    }
    try {
      for (const name of ['chat', 'responses', 'messages']) {
        const rows = readFileSync(gates[name]?.logPath ?? '', 'utf8')
        expect(await verify(rows)).toMatchObject({ ok: true, total_entries: rows.split('\n').length - 1 })
      }
      const rows = readFileSync(gates['chat']?.logPath ?? '', 'utf8')
      expect(await verify(rows.replace('alice', 'alicf'))).toMatchObject({ ok: false })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

it('where Python is missing, the suite says what to install', () => {
  expect(() => pythonWithClients('no-such-python')).toThrow(
    /^no-such-python .* failed: install Python 3\.11 or later \(Debian: apt-get install python3 python3-venv\)/,
  )
})
