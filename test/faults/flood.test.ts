/** Refusals before any check cost a row each, and rows that arrive together cost one sync. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type FileKind, type LogFile, NodeFiles } from '../../src/audit/files.ts'
import { openAuditLog } from '../../src/audit/open.ts'
import { verifyLog } from '../../src/audit/verify.ts'
import { chat, RING, startTestGate } from '../support/gate.ts'

/** A real log that counts its syncs, and holds one back until it is let go. */
class CountedFiles extends NodeFiles {
  syncs = 0
  hold: Promise<void> | undefined
  override async open(kind: FileKind, create: boolean): Promise<LogFile> {
    const file = await super.open(kind, create)
    if (kind === 'head') return file
    return {
      size: () => file.size(),
      read: (into, position) => file.read(into, position),
      write: (bytes, position) => file.write(bytes, position),
      truncate: length => file.truncate(length),
      linked: () => file.linked(),
      stillNamed: () => file.stillNamed(),
      close: () => file.close(),
      sync: async () => {
        this.syncs += 1
        await this.hold
        await file.sync()
      },
    }
  }
}

it('a hundred refusals at once have a row each and share their syncs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'signet-flood-'))
  const path = join(folder, 'audit.jsonl')
  const files = new CountedFiles(path)
  const log = await openAuditLog({ path, ring: RING, files })
  let rows = 0
  let all: () => void = () => undefined
  const appended = new Promise<void>(resolve => {
    all = resolve
  })
  const gate = await startTestGate({
    wrapAudit: inner => {
      void inner.close()
      return {
        append: row => {
          rows += 1
          if (rows === 101) all()
          return log.append(row)
        },
        get ok() {
          return log.ok
        },
        get head() {
          return log.head
        },
        drain: () => log.drain(),
        close: () => log.close(),
      }
    },
  })
  // The first one's sync is under way while the others arrive: all of them must wait for the next, together.
  let letGo: () => void = () => undefined
  files.hold = new Promise(resolve => {
    letGo = resolve
  })
  const before = files.syncs
  const first = chat(gate, '{"broken')
  while (files.syncs === before) await new Promise(setImmediate)
  const asked = Array.from({ length: 100 }, () => chat(gate, '{"broken'))
  await appended
  letGo()
  const answers = await Promise.all([first, ...asked])
  expect(answers.map(a => a.status)).toEqual(Array.from({ length: 101 }, () => 400))
  expect(new Set(answers.map(a => a.headers.get('x-signet-correlation-id'))).size).toBe(101)
  // One for the first, one for all who came meanwhile, and one more for those whose durability was asked a turn later.
  expect(files.syncs - before).toBeLessThanOrEqual(3)
  await gate.close()
  expect((await verifyLog(path, RING)).total_entries).toBe(101)
  rmSync(folder, { recursive: true })
})
