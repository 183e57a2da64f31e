/**
 * Leaving for the identity provider, and coming back.
 *
 * Guarantees: what the issuer sent along is taken out of the address before anything else happens, and sent to the gate in a
 * body; it is completed only by the tab that began, with what was kept there; one goes back to the place in the console that
 * one left, and never to an address that came from outside.
 */
import { api } from './api.ts'
import { addressOf, placeOf } from './route.ts'

/** For this tab and this origin alone, port included. */
const BEGUN = 'signet.sign-in'

export class NotBegunHere extends Error {
  override readonly name = 'NotBegunHere'
}

/** The browser leaves this page. */
export async function leave(): Promise<void> {
  const { location: issuer, binding } = await api.beginSignIn()
  sessionStorage.setItem(BEGUN, JSON.stringify({ binding, place: location.hash }))
  location.assign(issuer)
}

export type Back = { readonly kind: 'in' } | { readonly kind: 'failed'; readonly error: unknown }

/** Never rejects: it begins before anybody listens. `undefined`: nobody comes back from an issuer. */
export function comingBack(): Promise<Back> | undefined {
  const response = location.search.slice(1)
  const said = new URLSearchParams(response)
  if (!said.has('state') && !said.has('code') && !said.has('error')) return undefined
  const begun = take()
  const { page, item, query } = placeOf(begun?.place ?? '')
  history.replaceState(null, '', `/console/${addressOf(page, item, Object.fromEntries(query))}`)
  if (begun === undefined) {
    return Promise.resolve({ kind: 'failed', error: new NotBegunHere('this sign-in was not begun in this tab') })
  }
  return api.completeSignIn(begun.binding, response).then(
    () => ({ kind: 'in' }),
    (error: unknown) => ({ kind: 'failed', error }),
  )
}

function take(): { readonly binding: string; readonly place: string } | undefined {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(BEGUN) ?? 'null')
    sessionStorage.removeItem(BEGUN)
    if (typeof kept !== 'object' || kept === null || !('binding' in kept) || !('place' in kept)) return undefined
    const { binding, place } = kept
    return typeof binding === 'string' && typeof place === 'string' ? { binding, place } : undefined
  } catch {
    return undefined
  }
}
