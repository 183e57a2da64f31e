import { describe, expect, it } from 'vitest'
import { newFolder, signet } from './testing/command.test-support.ts'

describe('plugins', () => {
  it('list and doctor answer in an empty folder', async () => {
    const folder = newFolder()
    expect(JSON.parse((await signet(['plugins', 'list', '--json'], { folder })).out)).toEqual([])
    expect(JSON.parse((await signet(['plugins', 'doctor', '--json'], { folder })).out)).toMatchObject({
      ok: true,
      failed_count: 0,
      duplicate_count: 0,
    })
  })
})
