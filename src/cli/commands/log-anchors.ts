/** `signet log anchors`, `anchor` and `verify-anchors`: time stamps of checkpoints, from the log's folder. */
import { randomBytes } from 'node:crypto'
import { askAuthority } from '../../audit/anchor/authority.ts'
import { AnchorInvalid } from '../../audit/anchor/errors.ts'
import { loadStamper, type Stamper } from '../../audit/anchor/load.ts'
import { authorityOf, keepAnchor, listAnchors, readAnchor, stampPath } from '../../audit/anchor/store.ts'
import { same } from '../../audit/log/bytes.ts'
import { openCheckpoint, parseCheckpoint } from '../../audit/log/checkpoint.ts'
import { LogInvalid } from '../../audit/log/errors.ts'
import type { NodeFolderFiles } from '../../audit/log/folder-files.ts'
import { type NoteKey, parseNote } from '../../audit/log/note.ts'
import { LogReader } from '../../audit/log/reader.ts'
import { oneLine } from '../../config/problem.ts'
import { readAuthorities } from '../../config/tls.ts'
import { objectIdentifier } from '../../config/values.ts'
import { openEgress } from '../../plugins/egress.ts'
import { type Context, located } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'
import { logKeys, logSettings } from '../log-source.ts'
import { logFiles } from './log-witnesses.ts'

export interface AnchorOptions {
  readonly tiles?: string
  readonly json?: true
  readonly ca?: string
  readonly oid?: string
}

export async function anchors(options: AnchorOptions, context: Context): Promise<void> {
  const names = await listAnchors(logFiles(options, context))
  if (options.json === true) context.terminal.json({ anchors: names })
  else if (names.length === 0) context.terminal.line('no anchors')
  else for (const { size, authority } of names) context.terminal.line(`${size} entries  ${authority}`)
  context.exit(DONE)
}

export async function anchor(options: AnchorOptions & { readonly url?: string }, context: Context): Promise<void> {
  const settings = logSettings(context)
  const urls = options.url === undefined ? settings.anchorUrls : [options.url]
  if (urls.length === 0)
    throw new CommandError('--url: not given, and SIGNET_ANCHOR_URLS is not set; give a time-stamping authority')
  const policy = policyOid(options, context)
  const stamper = await stamperOf(options, context)
  const files = logFiles(options, context)
  const checkpoint = await files.read('signed')
  if (checkpoint === undefined) throw new CommandError(`${files.path}: the log has signed no checkpoint yet`)
  const { size } = parseCheckpoint(parseNote(new TextDecoder().decode(checkpoint)).text)
  const egress = openEgress()
  const ports = { egress, stamper, nowMs: context.now, random: randomBytes }
  let failed = false
  try {
    for (const url of urls) {
      const authority = authorityOf(url)
      try {
        const signal = new AbortController().signal
        const { stamp, response } = await askAuthority(url, checkpoint, policy, ports, signal)
        await keepAnchor(files, { size, authority }, checkpoint, response)
        context.terminal.line(
          { text: 'OK', colour: 'green' },
          `: ${size} entries, stamped ${stamp.time.toISOString()} by ${stamp.authority}; ${stampPath({ size, authority })}`,
        )
      } catch (error) {
        if (!(error instanceof AnchorInvalid)) throw error
        failed = true
        context.terminal.note(
          { text: 'NOT STAMPED: ', colour: 'red' },
          `${authority}: ${error.message} (${error.code})`,
        )
      }
    }
  } finally {
    await egress.close()
  }
  context.exit(failed ? FAILED : DONE)
}

export interface Verified {
  readonly size: number
  readonly authority: string
  readonly ok: boolean
  readonly time?: string
  readonly problem?: string
}

export async function verifyAnchors(
  options: AnchorOptions & { readonly logKey: string },
  context: Context,
): Promise<void> {
  const { terminal } = context
  const results = await checkAnchors(options, context)
  const ok = results.length > 0 && results.every(result => result.ok)
  if (options.json === true) terminal.json({ ok, anchors: results })
  else {
    for (const { size, authority, time, problem } of results) {
      if (problem === undefined)
        terminal.line({ text: 'OK', colour: 'green' }, `: ${size} entries existed at ${time} (${authority})`)
      else terminal.line({ text: 'BROKEN', colour: 'red' }, `: ${size} entries (${authority}): ${problem}`)
    }
    if (results.length === 0) terminal.line({ text: 'NOT PROVEN', colour: 'red' }, ': the log has no anchors')
  }
  context.exit(ok ? DONE : FAILED)
}

/** Every anchor in the log's folder: the stamp, what was stamped, and that the log continues it. */
export async function checkAnchors(
  options: AnchorOptions & { readonly logKey: string },
  context: Context,
): Promise<readonly Verified[]> {
  const keys = await logKeys(options.logKey, context)
  const policy = policyOid(options, context)
  const stamper = await stamperOf(options, context)
  const files = logFiles(options, context)
  const results: Verified[] = []
  for (const name of await listAnchors(files)) {
    results.push(await verifyOne(files, name, keys, stamper, policy, context.now()))
  }
  return results
}

async function verifyOne(
  files: NodeFolderFiles,
  name: { readonly size: number; readonly authority: string },
  keys: readonly NoteKey[],
  stamper: Stamper,
  policy: string | undefined,
  nowMs: number,
): Promise<Verified> {
  try {
    const { checkpoint, response } = await readAnchor(files, name)
    if (checkpoint === undefined) return { ...name, ok: false, problem: 'the checkpoint that was stamped is missing' }
    const stamp = await stamper.verify(response, checkpoint, { policy, nowMs })
    const then = await openCheckpoint(new TextDecoder().decode(checkpoint), keys)
    if (then.size !== name.size) return { ...name, ok: false, problem: `the checkpoint is of ${then.size} entries` }
    const signed = await files.read('signed')
    const now = signed === undefined ? undefined : await openCheckpoint(new TextDecoder().decode(signed), keys)
    if (now === undefined || now.size < then.size)
      return { ...name, ok: false, problem: `the log has only ${now?.size ?? 0} entries now` }
    const root = await new LogReader(files, now.size).rootAt(then.size)
    const whole = await new LogReader(files, now.size).rootAt(now.size)
    if (!same(root, then.root) || !same(whole, now.root))
      return { ...name, ok: false, problem: 'the log does not continue what was stamped' }
    return { ...name, ok: true, time: stamp.time.toISOString() }
  } catch (error) {
    if (error instanceof AnchorInvalid || error instanceof LogInvalid)
      return { ...name, ok: false, problem: `${error.message} (${error.code})` }
    throw error
  }
}

async function stamperOf({ ca }: AnchorOptions, context: Context): Promise<Stamper> {
  const path = ca ?? logSettings(context).anchorCaFile
  if (path === undefined)
    throw new CommandError('--ca: not given, and SIGNET_ANCHOR_CA_FILE is not set; give the roots as PEM')
  let roots: string
  try {
    roots = readAuthorities(located(context, path), 'time-stamping certificates')
  } catch (error) {
    throw new CommandError(`--ca: ${oneLine(error)}`)
  }
  try {
    return await loadStamper(roots)
  } catch (error) {
    if (error instanceof AnchorInvalid) throw new CommandError(error.message)
    throw error
  }
}

function policyOid({ oid }: AnchorOptions, context: Context): string | undefined {
  if (oid === undefined) return logSettings(context).anchorPolicy
  const checked = objectIdentifier(oid)
  if (!checked.ok) throw new CommandError(`--oid: ${oid} ${checked.problem ?? 'is no object identifier'}`)
  return checked.value
}
