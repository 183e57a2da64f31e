/** The part that needs pkijs, loaded when anchors are configured or looked at and not before: it is an optional peer. A gate has it in a thread. */
import { AnchorInvalid } from './errors.ts'
import type { StampRequest } from './request.ts'
import type { Stamp, StampTrust } from './response.ts'

export interface Stamper {
  /** `nonce`: random bytes. */
  request(data: Uint8Array, policy: string | undefined, nonce: Uint8Array): Promise<StampRequest>
  verify(response: Uint8Array, data: Uint8Array, trust: Omit<StampTrust, 'roots'>): Promise<Stamp>
  close(): Promise<void>
}

/** `roots`: PEM. Rejects with `unavailable` when the package is not there. */
export async function loadStamper(roots: string): Promise<Stamper> {
  const { makeRequest, readRoots, verifyStamp } = await load()
  const trusted = readRoots(roots)
  return {
    request: async (data, policy, nonce) => makeRequest(data, policy, nonce),
    verify: (response, data, trust) => verifyStamp(response, data, { ...trust, roots: trusted }),
    close: async () => undefined,
  }
}

async function load() {
  try {
    const [{ makeRequest }, { readRoots, verifyStamp }] = await Promise.all([
      import('./request.ts'),
      import('./response.ts'),
    ])
    return { makeRequest, readRoots, verifyStamp }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') {
      throw new AnchorInvalid(
        'unavailable',
        'anchors need the packages "pkijs" and "asn1js", which are not installed; run: npm install pkijs asn1js',
      )
    }
    throw error
  }
}
