/** Arguments of a call as a tree: keys and values as they are written, numbers digit by digit, and what is different from before. */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { isFault, type JsonNode, parseJson } from '../../dialects/json.ts'
import { type Compared, childPointer, compare, type Difference } from '../difference.ts'
import { oddities, Untrusted } from './untrusted.tsx'

/** Values of one container that are shown at once. */
const MOST = 200

export function Arguments({ text, before }: { readonly text: string; readonly before?: string | undefined }) {
  const [raw, setRaw] = useState(false)
  const doc = parseJson(text === '' ? '{}' : text)
  const compared = before === undefined ? undefined : compare(text === '' ? '{}' : text, before === '' ? '{}' : before)
  const odd = oddities(isFault(doc) ? text : strings(doc.root).join(' '))
  return (
    <div class="arguments">
      {odd.length > 0 && (
        <p class="note warn">
          <b>Look closely.</b> There {odd[0]?.startsWith('1 ') === true ? 'is' : 'are'} {odd.join(' and ')} in here,
          marked where they stand.
        </p>
      )}
      {isFault(doc) && <p class="note warn">This is no JSON, so there is no tree: it is shown as it was written.</p>}
      {raw || isFault(doc) ? (
        <pre class="raw">
          <Untrusted text={text} fold={4000} />
        </pre>
      ) : (
        <div class="tree" role="group" aria-label="Arguments">
          <Node node={doc.root} name={undefined} pointer="" compared={compared} depth={0} />
          {compared?.gone.map(({ pointer, node }) => (
            <div class="line gone" key={pointer}>
              <span class="key">
                <Untrusted text={pointer.slice(1).replaceAll('/', ' › ').replaceAll('~1', '/').replaceAll('~0', '~')} />
              </span>
              <del>
                <Leaf node={node} />
              </del>
              <span class="tag">not any more</span>
            </div>
          ))}
        </div>
      )}
      {!isFault(doc) && (
        <button type="button" class="link" onClick={() => setRaw(!raw)}>
          {raw ? 'Show as a tree' : `Show as written (${text.length.toLocaleString('en')} characters)`}
        </button>
      )}
    </div>
  )
}

interface NodeProps {
  readonly node: JsonNode
  readonly name: string | number | undefined
  readonly pointer: string
  readonly compared: Compared | undefined
  readonly depth: number
}

function Node({ node, name, pointer, compared, depth }: NodeProps) {
  const [open, setOpen] = useState(depth < 6)
  const difference = compared?.at(pointer, node)
  if (node.kind !== 'object' && node.kind !== 'array') {
    return (
      <Line name={name} difference={difference}>
        <Leaf node={node} />
      </Line>
    )
  }
  const children: readonly (readonly [string | number, JsonNode])[] =
    node.kind === 'array'
      ? node.items.map((item, i) => [i, item])
      : node.values.map((value, i) => [node.keys[i] ?? '', value])
  const what =
    node.kind === 'array'
      ? `list of ${children.length}`
      : `${children.length} ${children.length === 1 ? 'member' : 'members'}`
  const inner = children
    .slice(0, MOST)
    .map(([key, child]) => (
      <Node
        node={child}
        name={key}
        pointer={childPointer(pointer, key)}
        compared={compared}
        depth={depth + 1}
        key={key}
      />
    ))
  if (name === undefined) {
    return (
      <>
        {children.length === 0 && <p class="quiet">No arguments.</p>}
        {inner}
        <More count={children.length} />
      </>
    )
  }
  return (
    <div class="branch">
      <Line name={name} difference={difference?.kind === 'same' ? undefined : difference}>
        <button type="button" class="link quiet" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? '▾' : '▸'} {what}
        </button>
      </Line>
      {open && (
        <div class="inner">
          {inner}
          <More count={children.length} />
        </div>
      )}
    </div>
  )
}

function More({ count }: { readonly count: number }) {
  return count > MOST ? <p class="note warn">{count - MOST} more are not in the tree; see them as written.</p> : null
}

function Line({
  name,
  difference,
  children,
}: {
  readonly name: string | number | undefined
  readonly difference: Difference | undefined
  readonly children: ComponentChildren
}) {
  const kind = difference?.kind ?? 'same'
  return (
    <div class={`line ${kind}`}>
      {name !== undefined && (
        <span class="key">{typeof name === 'number' ? `${name}` : <Untrusted text={name} />}</span>
      )}
      <span class="value">{children}</span>
      {difference?.kind === 'changed' && (
        <span class="was">
          was{' '}
          <del>
            {difference.was.kind === 'object' || difference.was.kind === 'array' ? (
              difference.was.kind
            ) : (
              <Leaf node={difference.was} />
            )}
          </del>
        </span>
      )}
      {kind === 'new' && <span class="tag">new</span>}
    </div>
  )
}

function Leaf({ node }: { readonly node: JsonNode }) {
  switch (node.kind) {
    case 'string':
      return (
        <span class="string">
          <i aria-hidden="true">“</i>
          <Untrusted text={node.value} />
          <i aria-hidden="true">”</i>
        </span>
      )
    case 'number':
      return (
        <span class="number">
          {node.raw}
          {/^-?[0-9]+$/.test(node.raw) && !Number.isSafeInteger(Number(node.raw)) && (
            <span class="tag" title="a double does not hold every digit of it">
              beyond 2⁵³
            </span>
          )}
        </span>
      )
    case 'true':
    case 'false':
    case 'null':
      return <span class="word">{node.kind}</span>
    case 'object':
    case 'array':
      return <span class="word">{node.kind}</span>
  }
}

function strings(node: JsonNode): readonly string[] {
  switch (node.kind) {
    case 'string':
      return [node.value]
    case 'array':
      return node.items.flatMap(strings)
    case 'object':
      return [...node.keys, ...node.values.flatMap(strings)]
    default:
      return []
  }
}
