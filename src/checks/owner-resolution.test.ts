import { describe, expect, it } from 'vitest'
import { UNRESOLVED } from '../core/owner.ts'
import { OwnerResolutionCheck } from './owner-resolution.ts'
import { exchangeOf, TestContext } from './testing.ts'

describe('owner_resolution', () => {
  it('refuses an exchange that nobody answers for, and says how to name an owner', () => {
    const check = new OwnerResolutionCheck()
    const ctx = new TestContext(check)
    expect(check.admit(exchangeOf({ owner: UNRESOLVED }), ctx)).toMatchObject({
      kind: 'block',
      because: {
        code: 'owner_unresolved',
        reason: 'no commit owner could be resolved',
        details: { hint: expect.not.stringContaining('\n'), examples: { length: 3 } },
      },
    })
    expect(ctx.owner).toBeUndefined()
  })

  it('lets a resolved owner pass untouched', () => {
    const check = new OwnerResolutionCheck()
    const ctx = new TestContext(check)
    expect(check.admit(exchangeOf(), ctx)).toEqual({ kind: 'allow' })
    expect(ctx.owner).toBeUndefined()
  })

  it('attributes ownerless exchanges to a policy when no owner is required', () => {
    const check = new OwnerResolutionCheck({ requireOwner: false })
    const ctx = new TestContext(check)
    expect(check.admit(exchangeOf({ owner: UNRESOLVED }), ctx)).toEqual({ kind: 'allow' })
    expect(ctx.owner).toMatchObject({ type: 'policy', id: 'unattributed', approvalChain: ['policy:unattributed'] })
  })
})
