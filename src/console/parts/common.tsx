/** Small things that every page shows. */
import type { ComponentChildren } from 'preact'
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { Refused } from '../api.ts'

/** Drawn, for no font of a machine is sure to have such signs. */
const DECISIONS: Readonly<Record<string, { readonly sign: string; readonly word: string }>> = {
  allow: { sign: 'M2 6.5l2.5 2.5L10 3.5', word: 'allow' },
  block: { sign: 'M2.5 2.5l7 7M9.5 2.5l-7 7', word: 'block' },
  escalate: { sign: 'M4 2v8M8 2v8', word: 'escalate' },
  redact: { sign: 'M1.5 4h9M1.5 6h9M1.5 8h9', word: 'redact' },
  pending: { sign: 'M4 2v8M8 2v8', word: 'waiting' },
  approved: { sign: 'M2 6.5l2.5 2.5L10 3.5', word: 'approved' },
  denied: { sign: 'M2.5 2.5l7 7M9.5 2.5l-7 7', word: 'denied' },
  expired: { sign: 'M6 1.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M6 3.5V6l2 1.5', word: 'expired' },
  released: { sign: 'M1.5 6h8M6.5 3l3 3-3 3', word: 'released' },
}

/** A decision or a state: a sign, a word and a colour, so that no one of them is needed. */
export function Verdict({ of }: { readonly of: string }) {
  const known = DECISIONS[of]
  return (
    <span class={`verdict ${known === undefined ? '' : of}`}>
      <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
        <path d={known?.sign ?? 'M2 6h8'} />
      </svg>
      {known?.word ?? of}
    </span>
  )
}

export function Time({ ms, date = false }: { readonly ms: number; readonly date?: boolean }) {
  const at = new Date(ms)
  const time = at.toLocaleTimeString('en-GB', { hour12: false })
  const year = at.getFullYear() === new Date().getFullYear() ? {} : ({ year: 'numeric' } as const)
  const day = at.toLocaleDateString('en-GB', { day: '2-digit', month: 'short', ...year })
  return (
    <time class="num" dateTime={at.toISOString()} title={at.toISOString()}>
      {date ? `${day} ${time}` : time}
    </time>
  )
}

export function ago(ms: number, now: number): string {
  const s = Math.max(0, Math.round((now - ms) / 1000))
  if (s < 60) return `${s} s ago`
  if (s < 3600) return `${Math.floor(s / 60)} min ago`
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`
  return `${Math.floor(s / 86_400)} d ago`
}

export function left(ms: number, now: number): string {
  const s = Math.max(0, Math.round((ms - now) / 1000))
  if (s === 0) return 'over'
  if (s < 3600) return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')} left`
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min left`
}

export function bytes(n: number): string {
  if (n < 1024) return `${n} B`
  if (n < 1024 ** 2) return `${(n / 1024).toFixed(1)} KiB`
  return `${(n / 1024 ** 2).toFixed(1)} MiB`
}

/** A digest or id: the beginning, whole under the pointer, and to be copied. */
export function Id({ of, keep = 8 }: { readonly of: string; readonly keep?: number }) {
  const [copied, setCopied] = useState(false)
  const bare = of.replace(/^sha256:/, '')
  const short = bare.length <= keep + 2 ? bare : `${bare.slice(0, keep)}…`
  return (
    <button
      type="button"
      class="id"
      title={copied ? 'copied' : `${of} (copy)`}
      onClick={event => {
        event.stopPropagation()
        navigator.clipboard?.writeText(of).then(
          () => setCopied(true),
          () => undefined,
        )
      }}
    >
      {copied ? 'copied' : short}
      <span class="hidden"> copy</span>
    </button>
  )
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  )
}

export function Problem({ error, again }: { readonly error: unknown; readonly again?: () => void }) {
  const message = error instanceof Error ? error.message : 'something failed'
  const lost = !(error instanceof Refused)
  return (
    <div class="problem" role="alert">
      <b>{lost ? 'The control plane does not answer.' : 'That did not work.'}</b> {lost ? '' : message}
      {again !== undefined && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  )
}

export interface Loaded<T> {
  readonly value: T | undefined
  readonly error: unknown
  readonly again: () => void
}

/** Loads, and again every `everyMs` while the page is seen. An older answer never replaces a newer one. */
export function useLoaded<T>(
  load: (background: boolean) => Promise<T>,
  deps: readonly unknown[],
  everyMs?: number,
): Loaded<T> {
  const [state, setState] = useState<{ value: T | undefined; error: unknown }>({ value: undefined, error: undefined })
  const latest = useRef(0)
  const run = useCallback(
    (background: boolean) => {
      const mine = ++latest.current
      load(background).then(
        value => mine === latest.current && setState({ value, error: undefined }),
        (error: unknown) => mine === latest.current && setState(was => ({ value: was.value, error })),
      )
    },
    [...deps],
  )
  useEffect(() => {
    run(false)
    if (everyMs === undefined) return
    const timer = setInterval(() => document.visibilityState === 'visible' && run(true), everyMs)
    return () => clearInterval(timer)
  }, [run, everyMs])
  return { ...state, again: () => run(false) }
}

/** The time, each second. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [])
  return now
}
