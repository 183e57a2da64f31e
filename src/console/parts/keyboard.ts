/** Keys, where nobody types: single ones, and `g` followed by another. */
import { useEffect, useRef } from 'preact/hooks'

export type Keys = Readonly<Record<string, () => void>>

export function useKeys(keys: Keys): void {
  const latest = useRef(keys)
  latest.current = keys
  const went = useRef(0)
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
      const typing = event.target instanceof Element && event.target.closest('input, textarea, select') !== null
      if (typing || document.querySelector('dialog[open]') !== null) return
      // A button that has the focus takes Enter and the space bar itself.
      const own = event.target instanceof Element && event.target.closest('button, a') !== null
      if (own && (event.key === 'Enter' || event.key === ' ')) return
      const name = event.timeStamp - went.current < 1000 ? `g ${event.key}` : event.key
      went.current = event.key === 'g' ? event.timeStamp : 0
      const act = latest.current[name]
      if (act === undefined) return
      event.preventDefault()
      act()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [])
}
