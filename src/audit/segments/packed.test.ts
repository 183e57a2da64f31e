import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PackedFile, packFile, SegmentFault } from './packed.ts'
import { threadPacker } from './packer.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signet-packed-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function pack(raw: Buffer) {
  const from = join(folder, 'raw')
  const to = join(folder, 'packed.zst')
  writeFileSync(from, raw)
  return { made: packFile(from, to), to }
}

function inflateAll(path: string): Buffer {
  const file = new PackedFile(path)
  try {
    return Buffer.concat(file.blocks.map(b => file.inflate(b)))
  } finally {
    file.close()
  }
}

describe('a packed segment', () => {
  it('gives back any lines, whole and block by block, and so does any Zstandard reader', () => {
    const lines = fc.array(
      fc.string({ maxLength: 200 }).map(s => s.replaceAll('\n', '')),
      { maxLength: 50 },
    )
    fc.assert(
      fc.property(lines, all => {
        const raw = Buffer.from(all.map(l => `${l}\n`).join(''))
        const { made, to } = pack(raw)
        expect(inflateAll(to).equals(raw)).toBe(true)
        expect(made).toMatchObject({ rows: all.length, rawBytes: raw.length, bytes: statSync(to).size })
        if (raw.length > 0) expect(zstdDecompressSync(readFileSync(to)).equals(raw)).toBe(true)
      }),
      { numRuns: 25 },
    )
  })

  it('has blocks of whole lines, also around lines longer than a block', () => {
    const long = 'y'.repeat(3 * 1024 * 1024)
    const raw = Buffer.from(
      `${Array.from({ length: 30_000 }, (_, i) => `row ${i} ${'x'.repeat(80)}`).join('\n')}\n${long}\nend\n`,
    )
    const { made, to } = pack(raw)
    const file = new PackedFile(to)
    expect(file.blocks.length).toBeGreaterThan(3)
    let row = 0
    for (const block of file.blocks) {
      expect(block.firstRow).toBe(row)
      const lines = file.inflate(block)
      expect(lines.at(-1)).toBe(0x0a)
      expect(raw.subarray(block.rawAt, block.rawAt + block.rawBytes).equals(lines)).toBe(true)
      row += block.rows
    }
    file.close()
    expect(made.rows).toBe(30_002)
  })

  it('does not take half a line, and leaves nothing behind when it fails', () => {
    expect(() => pack(Buffer.from('a\nb'))).toThrow(SegmentFault)
    expect(readdirSync(folder)).toEqual(['raw'])
  })

  it('damaged at any byte, or cut anywhere, is a fault or another digest, never another error', () => {
    const raw = Buffer.from(Array.from({ length: 20 }, (_, i) => `{"row":${i}}\n`).join(''))
    const { made, to } = pack(raw)
    const sound = readFileSync(to)
    const look = (bytes: Buffer) => {
      writeFileSync(to, bytes)
      let file: PackedFile | undefined
      try {
        file = new PackedFile(to)
        const digest = file.sha256()
        for (const block of file.blocks) file.inflate(block)
        return digest
      } catch (error) {
        expect(error).toBeInstanceOf(SegmentFault)
        return 'fault'
      } finally {
        file?.close()
      }
    }
    expect(look(sound)).toBe(made.sha256)
    for (let at = 0; at < sound.length; at++) {
      const changed = Buffer.from(sound)
      changed.writeUInt8(changed.readUInt8(at) ^ (1 << (at % 8)), at)
      expect(look(changed), `byte ${at}`).not.toBe(made.sha256)
      expect(look(sound.subarray(0, at)), `cut at ${at}`).toBe('fault')
    }
  })

  it('that claims huge blocks is refused before memory is taken', () => {
    const json = Buffer.from(JSON.stringify({ v: 1, blocks: [[8, 1e12, 1]] }))
    const frame = Buffer.alloc(8 + json.length + 12)
    frame.writeUInt32LE(0x184d2a5e, 0)
    frame.writeUInt32LE(frame.length - 8, 4)
    json.copy(frame, 8)
    frame.writeUInt32LE(json.length, 8 + json.length)
    frame.write('signetx1', 12 + json.length, 'latin1')
    const path = join(folder, 'bomb.zst')
    writeFileSync(path, Buffer.concat([Buffer.alloc(8), frame]))
    expect(() => new PackedFile(path)).toThrow('impossible numbers')
  })

  it('is made in a thread, which reports what went wrong', async () => {
    const packer = threadPacker(folder)
    writeFileSync(join(folder, 'rows'), 'a\nb\n')
    expect(await packer.pack(join(folder, 'rows'), 'rows.zst')).toMatchObject({
      file: 'rows.zst',
      rows: 2,
      rawBytes: 4,
    })
    expect(packer.has('rows.zst', statSync(join(folder, 'rows.zst')).size)).toBe(true)
    expect(packer.has('rows.zst', 1)).toBe(false)
    await expect(packer.pack(join(folder, 'none'), 'none.zst')).rejects.toMatchObject({ code: 'ENOENT' })
    await packer.close()
  })
})
