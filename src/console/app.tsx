/** The frame around the pages: who is signed in, where one is, what waits. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { api, type Me, Refused, whenSessionEnds } from './api.ts'
import mark from './mark.svg'
import { Approvals } from './pages/approvals.tsx'
import { Audit } from './pages/audit.tsx'
import { Health } from './pages/health.tsx'
import { Live } from './pages/live.tsx'
import { Overview } from './pages/overview.tsx'
import { Pipeline } from './pages/pipeline.tsx'
import { Receipts } from './pages/receipts.tsx'
import { SignIn } from './pages/sign-in.tsx'
import { left, Problem, useLoaded, useNow } from './parts/common.tsx'
import { Help } from './parts/help.tsx'
import { useKeys } from './parts/keyboard.ts'
import { Untrusted } from './parts/untrusted.tsx'
import { addressOf, go, type PageName, type Place, usePlace } from './route.ts'
import type { Back } from './sign-in.ts'
import { setTheme, type Theme, themeNow } from './theme.ts'

type Who =
  | { readonly kind: 'asking' }
  | { readonly kind: 'nobody'; readonly because: string; readonly failed?: unknown }
  | { readonly kind: 'known'; readonly me: Me }
  | { readonly kind: 'lost'; readonly error: unknown }

/** `back`: somebody comes back from an identity provider. */
export function App({ back }: { readonly back: Promise<Back> | undefined }) {
  const [who, setWho] = useState<Who>({ kind: 'asking' })
  const place = usePlace()
  const ask = (): void => {
    api.me(false).then(
      me => setWho({ kind: 'known', me }),
      (error: unknown) =>
        setWho(
          error instanceof Refused && error.status < 500 ? { kind: 'nobody', because: '' } : { kind: 'lost', error },
        ),
    )
  }
  useEffect(() => {
    whenSessionEnds(() =>
      setWho(was =>
        was.kind === 'known'
          ? { kind: 'nobody', because: 'The session is over. Sign in again to go on where you were.' }
          : was,
      ),
    )
    if (back === undefined) ask()
    else
      void back.then(came => {
        if (came.kind === 'in') ask()
        else setWho({ kind: 'nobody', because: '', failed: came.error })
      })
  }, [])
  switch (who.kind) {
    case 'asking':
      return null
    case 'lost':
      return (
        <main class="signin">
          <Problem error={who.error} again={ask} />
        </main>
      )
    case 'nobody':
      return <SignIn because={who.because} failed={who.failed} onSession={ask} />
    case 'known':
      return (
        <Signed me={who.me} place={place} onOut={() => setWho({ kind: 'nobody', because: 'You are signed out.' })} />
      )
  }
}

interface Entry {
  readonly page: PageName
  readonly name: string
  readonly key: string
  readonly sign: string
  readonly admin?: true
}

const ENTRIES: readonly Entry[] = [
  { page: 'overview', name: 'Overview', key: 'o', sign: 'M3 13h4v8H3zM10 8h4v13h-4zM17 3h4v18h-4z' },
  { page: 'live', name: 'Live', key: 'l', sign: 'M2 12h5l3-8 4 16 3-8h5' },
  { page: 'approvals', name: 'Approvals', key: 'a', sign: 'M4 12.5l5 5L20 6.5' },
  { page: 'audit', name: 'Audit log', key: 'u', sign: 'M4 5h16M4 10h16M4 15h16M4 20h10' },
  { page: 'receipts', name: 'Receipts', key: 'r', sign: 'M6 3h12v18l-3-2-3 2-3-2-3 2zM9 8h6M9 12h6' },
  { page: 'pipeline', name: 'Pipeline', key: 'p', sign: 'M3 6h6v5H3zM15 13h6v5h-6zM9 8.5h4v7h2' },
  {
    page: 'health',
    name: 'Keys and log',
    key: 'h',
    sign: 'M14 8a4 4 0 1 0-3.5 4L9 13.5V16H6.5v2.5H4V16l6-6',
    admin: true,
  },
]

function Signed({ me, place, onOut }: { readonly me: Me; readonly place: Place; readonly onOut: () => void }) {
  const [help, setHelp] = useState(false)
  const [changes, setChanges] = useState(0)
  const main = useRef<HTMLElement>(null)
  const entries = ENTRIES.filter(e => e.admin === undefined || me.role === 'admin')
  const waiting = useLoaded(background => api.escalations(['pending'], background), [changes], 20_000).value
    ?.escalations
  const trust = useLoaded(() => api.trust(), [])
  useWatch(() => setChanges(n => n + 1))
  useKeys({
    '?': () => setHelp(true),
    '/': () => go('audit'),
    ...Object.fromEntries(entries.map(e => [`g ${e.key}`, () => go(e.page)])),
  })
  const first = useRef(true)
  useEffect(() => {
    document.title = `${ENTRIES.find(e => e.page === place.page)?.name ?? ''} · signet`
    if (!first.current) main.current?.scrollTo(0, 0)
    first.current = false
  }, [place.page])
  return (
    <div class="frame">
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the page
      </button>
      <aside class="side">
        <a class="brand" href={addressOf('overview')}>
          <img src={mark} width="20" height="20" alt="" /> signet
        </a>
        <nav aria-label="Pages">
          <ul>
            {entries.map(e => (
              <li key={e.page}>
                <a href={addressOf(e.page)} aria-current={e.page === place.page ? 'page' : undefined}>
                  <svg viewBox="0 0 24 24" width="16" height="16" aria-hidden="true">
                    <path d={e.sign} />
                  </svg>
                  {e.name}
                  {e.page === 'approvals' && waiting !== undefined && waiting.length > 0 && (
                    <span class="count num">
                      {waiting.length}
                      <span class="hidden"> waiting</span>
                    </span>
                  )}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <SessionBox me={me} onOut={onOut} onHelp={() => setHelp(true)} />
      </aside>
      <main id="main" ref={main} tabIndex={-1} class={`page-${place.page}`}>
        <Page place={place} me={me} changes={changes} waiting={waiting?.length} trust={trust.value} />
      </main>
      {help && <Help entries={entries} onClose={() => setHelp(false)} />}
    </div>
  )
}

function Page(props: {
  readonly place: Place
  readonly me: Me
  readonly changes: number
  readonly waiting: number | undefined
  readonly trust: Awaited<ReturnType<typeof api.trust>> | undefined
}) {
  const { place, me, changes, waiting, trust } = props
  switch (place.page) {
    case 'overview':
      return <Overview waiting={waiting} />
    case 'live':
      return <Live />
    case 'approvals':
      return <Approvals place={place} me={me} changes={changes} />
    case 'audit':
      return <Audit place={place} trust={trust} />
    case 'receipts':
      return <Receipts trust={trust} />
    case 'pipeline':
      return <Pipeline />
    case 'health':
      return <Health />
  }
}

const THEMES: readonly Theme[] = ['system', 'light', 'dark']

function SessionBox({
  me,
  onOut,
  onHelp,
}: {
  readonly me: Me
  readonly onOut: () => void
  readonly onHelp: () => void
}) {
  const [theme, choose] = useState(themeNow())
  const now = useNow()
  // Asked by itself now and then, which keeps nothing open: it says when the session ends.
  const fresh = useLoaded(background => api.me(background), [], 30_000).value ?? me
  const ends = fresh.session_ends_at === null ? undefined : Date.parse(fresh.session_ends_at)
  return (
    <div class="session">
      <p class="me">
        <span class="one-line" title={me.principal}>
          <Untrusted text={me.principal} fold={60} />
        </span>
        <span class="quiet">{me.role}</span>
      </p>
      {ends !== undefined && ends - now < 5 * 60_000 && (
        <p class="note warn" role="status">
          Signed out soon: {left(ends, now)}
        </p>
      )}
      <div class="row">
        <button type="button" class="link" onClick={onHelp}>
          Keys <kbd>?</kbd>
        </button>
        <label class="hidden" for="theme">
          Colours
        </label>
        <select
          id="theme"
          value={theme}
          onChange={event => {
            const wanted = THEMES.find(t => t === event.currentTarget.value) ?? 'system'
            setTheme(wanted)
            choose(wanted)
          }}
        >
          {THEMES.map(t => (
            <option key={t} value={t}>
              {t}
            </option>
          ))}
        </select>
        {api.session !== undefined && (
          <button type="button" class="link" onClick={() => void api.signOut().then(onOut, onOut)}>
            Sign out
          </button>
        )}
      </div>
    </div>
  )
}

/** Follows the changes of escalations, and begins anew when the connection ends. */
function useWatch(onChange: () => void): void {
  const latest = useRef(onChange)
  latest.current = onChange
  useEffect(() => {
    const leaving = new AbortController()
    const follow = async (): Promise<void> => {
      while (!leaving.signal.aborted) {
        try {
          await api.watch(() => latest.current(), leaving.signal)
        } catch (error) {
          if (error instanceof Refused && error.status < 500) return
        }
        await new Promise(resolve => setTimeout(resolve, 3000))
      }
    }
    void follow()
    return () => leaving.abort()
  }, [])
}
