import { describe, expect, it } from 'vitest'
import { resolveSettings } from '../config/resolve.ts'
import { fromPipeline } from '../config/settings.ts'
import { readBegin, shareOf } from './worker-facts.ts'

const MORE = {
  key: new Uint8Array(32),
  approvers: [],
  quorum: undefined,
  demoUrl: undefined,
  receipts: true,
  log: undefined,
  capabilities: undefined,
}
const PROJECT = { folder: '/', file: undefined, variables: {} }

describe('what a worker is told', () => {
  const secret = 'ab'.repeat(32)
  const resolved = resolveSettings(
    [fromPipeline({ auditSealing: true, hmacSecret: secret, accessLogPath: '-', workers: 2 }, 'pipeline.ts')],
    true,
  )
  const told = shareOf(resolved, PROJECT, MORE)

  it('holds that owners are sealed, so that its access log does not name them', () => {
    expect(readBegin(JSON.parse(JSON.stringify(told)) as Record<string, unknown>).settings).toMatchObject({
      auditSealing: true,
      accessLogPath: '-',
    })
  })

  it('holds no key of the audit log', () => {
    expect(JSON.stringify(told)).not.toContain(secret)
  })
})
