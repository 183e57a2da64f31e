/** `oauth4webapi`, which speaks OAuth 2.0 and OpenID Connect: an optional peer, loaded when sign-in is configured; its calls go out by the one way there is. */
import type { CustomFetchOptions } from 'oauth4webapi'
import { IssuerUnavailable } from '../identity/issuer-documents.ts'
import type { Egress } from '../plugins/egress.ts'

export type OidcLibrary = typeof import('oauth4webapi')

export class OidcLibraryMissing extends Error {
  override readonly name = 'OidcLibraryMissing'
}

/** Throws `OidcLibraryMissing` when the package is not there. */
export async function loadOidcLibrary(): Promise<OidcLibrary> {
  try {
    return await import('oauth4webapi')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') {
      throw new OidcLibraryMissing(
        'SIGNET_CONSOLE_OIDC_CLIENT_ID: the package "oauth4webapi" is not installed; run: npm install oauth4webapi',
      )
    }
    throw error
  }
}

const TIMEOUT_MS = 5000
const MAX_BYTES = 256 * 1024

/** Options of its calls: no redirect, bounded size and time, https or the loopback; a silent issuer is `IssuerUnavailable`. */
export function reachedBy(lib: OidcLibrary, egress: Egress) {
  return {
    // Which addresses may be called in plain http, the way out and the discovery document's reader decide.
    [lib.allowInsecureRequests]: true,
    async [lib.customFetch](
      url: string,
      { method, headers, body }: CustomFetchOptions<'GET' | 'POST', URLSearchParams | undefined>,
    ): Promise<Response> {
      let answer: Awaited<ReturnType<Egress['send']>>
      try {
        answer = await egress.send({
          url,
          method,
          headers,
          ...(body === undefined ? {} : { body: body.toString() }),
          timeoutMs: TIMEOUT_MS,
          maxBytes: MAX_BYTES,
        })
      } catch (error) {
        throw new IssuerUnavailable('the issuer could not be reached', { cause: error })
      }
      if (answer.status >= 500) throw new IssuerUnavailable(`the issuer answered ${answer.status}`)
      return new Response(answer.status === 204 ? null : Buffer.from(answer.body), {
        status: answer.status,
        headers: answer.contentType === undefined ? {} : { 'content-type': answer.contentType },
      })
    },
  }
}

/** What came from the issuer does not hold. */
export function isOidcError(lib: OidcLibrary, error: unknown): boolean {
  return error instanceof lib.OperationProcessingError || error instanceof lib.UnsupportedOperationError
}
