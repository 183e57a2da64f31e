/**
 * The second reading of a request: texts that a model reads as one (the parts of a message, neighbouring messages of one
 * role) are also scanned joined, so that nothing hides by being cut in two.
 *
 * Guarantees: where a declared pattern matches over such a border, the joined text is a derived segment that every check
 * sees. Costs nothing where no two texts stand side by side.
 * Does not: join turns of different roles, results of different tools, or the inputs of a batch (prompts, embeddings), which
 * are answered one by one; find what only a check's own code would find.
 */
import { BREAK, isNew } from '../core/break.ts'
import type { RequestView, Segment } from '../core/wire.ts'
import type { PatternSet, Scanner } from '../text/scan.ts'

/** What is said, in the requests of all surfaces: not names, ids, declarations or fields nobody knows. */
const SAID =
  /^(?:\/(?:messages|input|instructions)\/[0-9]+\/(?:content|output|summary)(?:\/[0-9]+)?(?:\/(?:text|refusal|content(?:\/[0-9]+\/text)?))?|\/system\/[0-9]+\/text|\/input\/[0-9]+\/text)$/

/** The view with a segment more for each run of texts over whose borders something was found. */
export function withSeams(view: RequestView, scanner: Scanner, sets: readonly PatternSet[]): RequestView {
  if (sets.length === 0 || view.segments.length < 2) return view
  const found = runs(view.segments).filter(
    joined => joined.breaks !== undefined && crossed(joined, scanner.whole(joined.text), sets),
  )
  return found.length === 0 ? view : { ...view, segments: [...view.segments, ...found] }
}

function crossed(joined: Segment, scan: ReturnType<Scanner['whole']>, sets: readonly PatternSet[]): boolean {
  return sets.some(set => scan.hits(set).some(hit => isNew(joined, hit)))
}

/** Every run of two texts or more, joined. */
function runs(segments: readonly Segment[]): Segment[] {
  const out: Segment[] = []
  let run: Segment[] = []
  const close = (): void => {
    if (run.length > 1) out.push(joinedOf(run))
    run = []
  }
  for (const segment of segments) {
    if (segment.derived === true || !SAID.test(segment.pointer)) continue
    const [first] = run
    if (first !== undefined && !continues(first, segment)) close()
    run.push(segment)
  }
  close()
  return out
}

/** Results of tools are read one by one, each with its call; what one party says is read on. */
function continues(first: Segment, next: Segment): boolean {
  if (first.role !== next.role) return false
  return first.role !== 'tool' || listOf(first.pointer) === listOf(next.pointer)
}

/** The list that a text is a part of. */
function listOf(pointer: string): string {
  return pointer.replace(/(?:\/[0-9]+)?(?:\/(?:text|refusal))?$/, '')
}

function joinedOf(run: readonly Segment[]): Segment {
  const breaks: number[] = []
  let text = ''
  for (const segment of run) {
    if (text !== '') {
      breaks.push(text.length)
      text += BREAK
    }
    text += segment.text
  }
  const [first] = run
  return { role: first?.role ?? 'other', pointer: listOf(first?.pointer ?? ''), text, derived: true, breaks }
}
