/** Rows as they are written, a second or two later. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { api } from '../api.ts'
import { Empty, Problem } from '../parts/common.tsx'
import { useKeys } from '../parts/keyboard.ts'
import { Rows } from '../parts/rows.tsx'
import { go } from '../route.ts'
import { readRow, type ShownRow } from '../row.ts'

const EVERY_MS = 2000
const KEPT = 300
/** Of what is new in one look. */
const MOST_NEW = 100

export function Live() {
  const [rows, setRows] = useState<readonly ShownRow[] | undefined>(undefined)
  const [paused, setPaused] = useState(false)
  const [quiet, setQuiet] = useState(false)
  const [error, setError] = useState<unknown>(undefined)
  const [skipped, setSkipped] = useState(0)
  const [chosen, setChosen] = useState<number | undefined>(undefined)
  const newest = useRef<number | undefined>(undefined)
  useEffect(() => {
    let over = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = async (): Promise<void> => {
      if (!paused && document.visibilityState === 'visible') {
        try {
          const after = newest.current
          const query = new URLSearchParams(
            after === undefined ? { limit: '50' } : { after: String(after), limit: String(MOST_NEW) },
          )
          const page = await api.rows(query, true)
          if (over) return
          const fresh = page.rows.map(readRow)
          newest.current = fresh[0]?.index ?? after
          // More came than one look shows: the older of them are in the audit log.
          const oldest = fresh.at(-1)?.index
          if (after !== undefined && oldest !== undefined && oldest > after + 1) setSkipped(n => n + oldest - after - 1)
          setRows(was => [...fresh, ...(was ?? [])].slice(0, KEPT))
          setError(undefined)
        } catch (failed) {
          if (!over) setError(failed)
        }
      }
      if (!over) timer = setTimeout(() => void look(), EVERY_MS)
    }
    void look()
    return () => {
      over = true
      clearTimeout(timer)
    }
  }, [paused])
  const shown = (rows ?? []).filter(({ row }) => !quiet || row === undefined || row.decision !== 'allow')
  const move = (by: number): void => {
    const at = shown.findIndex(r => r.index === chosen)
    const next = shown[at < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, at + by))]
    if (next !== undefined) setChosen(next.index)
  }
  useKeys({
    ' ': () => setPaused(!paused),
    j: () => move(1),
    k: () => move(-1),
    Enter: () => chosen !== undefined && go('audit', String(chosen)),
  })
  return (
    <>
      <header class="page">
        <h1>Live</h1>
        <span class={`pulse ${paused ? 'paused' : ''}`} role="status">
          {paused ? 'paused' : 'following'}
        </span>
        <div class="actions">
          <label class="check">
            <input type="checkbox" checked={quiet} onChange={event => setQuiet(event.currentTarget.checked)} /> Only
            what did not simply pass
          </label>
          <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
            {paused ? 'Go on' : 'Pause'}
          </button>
        </div>
      </header>
      {error !== undefined && <Problem error={error} />}
      {skipped > 0 && (
        <p class="note">
          {skipped} rows came faster than this page shows them. All are in the <a href="#/audit">audit log</a>.
        </p>
      )}
      {rows !== undefined && shown.length === 0 ? (
        <Empty title={quiet ? 'Nothing but passes' : 'No rows yet'}>
          <p>Each decision of the gate is a row of its log. They appear here as they are written.</p>
        </Empty>
      ) : (
        <Rows rows={shown} chosen={chosen} onChoose={index => go('audit', String(index))} label="Newest rows" />
      )}
    </>
  )
}
