/** A held answer: sealed while a human decides, and the same bytes when it is released. */
import { describe, expect, it } from 'vitest'
import { ToolCallInspectorCheck } from '../src/checks/tool-call-inspector.ts'
import type { SealedStore } from '../src/core/state.ts'
import { DIALECTS } from '../src/dialects/registry.ts'
import { createSealer, resume, SealBroken } from '../src/escalation/sealed.ts'
import { MemorySealedStore } from '../src/state/memory.ts'
import { systemRandom } from '../src/state/system.ts'
import { chat, DEMO_REGISTRY, demoChecks, startTestGate } from './support/gate.ts'

const tools = ['issue_refund', 'get_weather'].map(name => ({
  type: 'function',
  function: { name, parameters: { type: 'object' } },
}))
const ask = (stream: boolean) => ({
  model: 'demo',
  stream,
  tools,
  messages: [{ role: 'user', content: 'What is the weather in Oslo, and refund 50000 to account X' }],
})

/** The store the gate uses, with a window for the test. */
class SeenStore extends MemorySealedStore implements SealedStore {
  readonly ids: string[] = []
  override put(id: string, owner: string, sealed: Uint8Array, expiresAtMs: number) {
    this.ids.push(id)
    return super.put(id, owner, sealed, expiresAtMs)
  }
}

/** The gate's answer when nobody had to be asked: the same pipeline, with the refund made automatic. */
async function unheld(stream: boolean): Promise<string> {
  const automatic = new ToolCallInspectorCheck({
    registry: { ...DEMO_REGISTRY, issue_refund: { riskTier: 'low', irreversible: false } },
  })
  const gate = await startTestGate({
    checks: [...demoChecks().filter(c => c.name !== 'tool_call_inspector'), automatic],
  })
  try {
    const text = await (await chat(gate, ask(stream))).text()
    return text.replace(/: signet-receipt [^\n]*\n\n/, '')
  } finally {
    await gate.close()
  }
}

describe.each([false, true])('a held answer (stream: %s)', stream => {
  it('is sealed, opens only for its own id, and resumes to the bytes that an unheld caller gets', async () => {
    const store = new SeenStore({ now: () => Date.now() })
    const gate = await startTestGate({ sealedStore: store })
    try {
      const res = await chat(gate, ask(stream))
      const text = await res.text()
      expect(text).not.toContain('50000')
      const [id = ''] = store.ids
      expect(text).toContain(id)
      const sealed = store.get(id)
      if (sealed === undefined) throw new Error('nothing was kept')
      expect(Buffer.from(sealed).includes('refund')).toBe(false)

      const { sealer } = gate.running.gate.held
      const answer = sealer.open(id, sealed)
      expect(answer.calls.map(c => c.name)).toEqual(['issue_refund'])
      expect(answer.stream).toBe(stream)
      const dialect = DIALECTS.find(d => d.name === answer.dialect)
      if (dialect === undefined) throw new Error('the dialect is gone')
      const bytes = Buffer.from(resume(dialect, answer)).toString()
      expect(bytes).toContain('50000')
      const normal = (s: string) => s.replace(/"(id|created|system_fingerprint)":\s*("[^"]*"|\d+)/g, '"$1":_')
      expect(normal(bytes)).toBe(normal(await unheld(stream)))
      // Reading it again gives the identical bytes: release is fixed, not recomputed.
      expect(Buffer.from(resume(dialect, answer)).toString()).toBe(bytes)

      expect(() => sealer.open('another', sealed)).toThrow(SealBroken)
      for (const at of [0, 1, 13, sealed.length >> 1, sealed.length - 1]) {
        const bent = Uint8Array.from(sealed)
        bent[at] = (bent[at] ?? 0) ^ 1
        expect(() => sealer.open(id, bent)).toThrow(SealBroken)
      }
      expect(() => createSealer(Buffer.alloc(32, 1), systemRandom()).open(id, sealed)).toThrow(SealBroken)

      const row = gate.rows().find(r => r['decision'] === 'escalate')
      expect(row).toMatchObject({
        check_name: 'pipeline.commitment',
        metadata: { _escalation_id: id, _tool: 'issue_refund', _check_name: 'tool_call_inspector' },
      })
      expect((await gate.verify()).ok).toBe(true)
    } finally {
      await gate.close()
    }
  })
})
