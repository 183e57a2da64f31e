/** Where the console is: in the fragment of the address, which no server sees. */
import { useEffect, useState } from 'preact/hooks'

export const PAGES = ['overview', 'live', 'approvals', 'audit', 'receipts', 'pipeline', 'health'] as const
export type PageName = (typeof PAGES)[number]

export interface Place {
  readonly page: PageName
  /** What of the page: an id, a row. */
  readonly item: string
  readonly query: URLSearchParams
}

export function placeOf(fragment: string): Place {
  const [path = '', query = ''] = fragment.replace(/^#\/?/, '').split('?')
  const [first = '', ...rest] = path.split('/')
  const page = PAGES.find(name => name === first) ?? 'overview'
  let item = ''
  try {
    item = decodeURIComponent(rest.join('/'))
  } catch {
    // Not an address that was made here.
  }
  return { page, item, query: new URLSearchParams(query) }
}

export function addressOf(page: PageName, item = '', query: Readonly<Record<string, string>> = {}): string {
  const asked = new URLSearchParams(query).toString()
  return `#/${page}${item === '' ? '' : `/${encodeURIComponent(item)}`}${asked === '' ? '' : `?${asked}`}`
}

export function go(page: PageName, item = '', query: Readonly<Record<string, string>> = {}): void {
  location.hash = addressOf(page, item, query)
}

export function usePlace(): Place {
  const [place, setPlace] = useState(() => placeOf(location.hash))
  useEffect(() => {
    const onChange = (): void => setPlace(placeOf(location.hash))
    addEventListener('hashchange', onChange)
    return () => removeEventListener('hashchange', onChange)
  }, [])
  return place
}
