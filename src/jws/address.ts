/** Addresses that trust hangs on: https, or plain http on the loopback, without a password in them. */
import { JwsInvalid } from './errors.ts'

/** The address in its one spelling. `whose`: for the error, which never repeats the address. */
export function allowedUrl(text: string, whose: string): string {
  if (!URL.canParse(text)) throw new JwsInvalid('jwks_unreachable', `expected an absolute https URL for ${whose}`)
  const url = new URL(text)
  const loopback =
    url.hostname === 'localhost' || url.hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(url.hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback))
    throw new JwsInvalid('jwks_unreachable', `expected https for ${whose} (plain http is for the loopback only)`)
  if (url.username !== '' || url.password !== '')
    throw new JwsInvalid('jwks_unreachable', `expected no user or password in the address of ${whose}`)
  return url.href
}
