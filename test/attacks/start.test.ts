/** What an operator's mistake must not print. */
import { describe, expect, it } from 'vitest'
import { fromEnvironment, fromFlags, settle } from '../../src/config/settings.ts'

describe('an upstream URL with a secret in it', () => {
  it.each([
    'https://user:hunter2@api.example.com/v1',
    'https://hunter2@api.example.com/v1?x=1',
    'ftp://user:hunter2@api.example.com/v1',
    'https://user:hunter2@api example.com/v1',
    'https://api.example.com/v1?api_key=hunter2',
    'https://api.example.com/v1#hunter2',
  ])('is named in the error without it: %s', url => {
    for (const layer of [fromFlags({ upstreamUrl: url }), fromEnvironment({ SIGNET_UPSTREAM_URL: url }, '.env')]) {
      let told = ''
      try {
        settle([layer])
      } catch (error) {
        told = String(error)
      }
      expect(told).toMatch(/upstream/i)
      expect(told).not.toContain('hunter2')
    }
  })
})
