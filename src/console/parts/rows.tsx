/** Rows as a table: one line each, the newest first. */
import { checkOf, metaOf, msOf, ownerOf, type ShownRow } from '../row.ts'
import { Time, Verdict } from './common.tsx'
import { Untrusted } from './untrusted.tsx'

export function Rows({
  rows,
  chosen,
  onChoose,
  label,
}: {
  readonly rows: readonly ShownRow[]
  readonly chosen: number | undefined
  readonly onChoose: (index: number) => void
  readonly label: string
}) {
  return (
    <table class="rows" aria-label={label}>
      <thead>
        <tr>
          <th scope="col" class="c-index">
            Row
          </th>
          <th scope="col" class="c-time">
            Time
          </th>
          <th scope="col" class="c-decision">
            Decision
          </th>
          <th scope="col" class="c-check">
            Check
          </th>
          <th scope="col" class="c-owner">
            Owner
          </th>
          <th scope="col">Reason</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ index, row }) => (
          <tr
            key={index}
            aria-selected={index === chosen}
            class={index === chosen ? 'chosen' : ''}
            onClick={() => onChoose(index)}
          >
            <td class="num c-index">
              <button type="button" class="link" aria-label={`Row ${index}, open`} onClick={() => onChoose(index)}>
                {index}
              </button>
            </td>
            {row === undefined ? (
              <td colSpan={5}>a line that is no row</td>
            ) : (
              <>
                <td class="c-time">
                  <Time ms={msOf(row)} date />
                </td>
                <td class="c-decision">
                  <Verdict of={row.decision} />
                  {row.metadata.get('shadow') === true && <span class="tag">shadow</span>}
                </td>
                <td class="c-check">
                  <Untrusted text={checkOf(row)} fold={60} />
                </td>
                <td class="c-owner">
                  <Untrusted text={ownerOf(row)} fold={60} />
                </td>
                <td class="c-reason">
                  <span class="one-line">
                    <Untrusted text={row.reason} fold={400} />
                    {metaOf(row, '_tool') !== '' && (
                      <span class="quiet">
                        {' '}
                        · <Untrusted text={metaOf(row, '_tool')} fold={60} />
                      </span>
                    )}
                  </span>
                </td>
              </>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  )
}
