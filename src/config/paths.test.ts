import { describe, expect, it } from 'vitest'
import { pathProblem } from './paths.ts'

describe('path options', () => {
  it.each([
    'CON',
    'con',
    'CON ',
    'CON.',
    'con.txt',
    'Con.tar.gz',
    'NUL',
    'nul .txt',
    'logs/PRN',
    'logs\\AUX.log',
    'COM1',
    'com9.jsonl',
    'LPT3',
    'COM\u00b9',
    'CONIN$',
    'NUL:',
    'NUL:stream',
    'file.txt:stream',
    '/var/log/audit.jsonl:$DATA',
    'CON\t',
    '',
    '  ',
    'a\0b',
  ])('%j is refused', path => {
    expect(pathProblem(path)).toBeTypeOf('string')
  })

  it.each([
    'console.log',
    'auxiliary',
    'nullable.txt',
    'COM10',
    'com',
    '/con/audit.jsonl',
    '/mnt/a:b/audit.jsonl',
    'C:\\logs\\audit.jsonl',
    'audit.jsonl',
    '.env',
    '..',
    '-',
  ])('%j is accepted', path => {
    expect(pathProblem(path)).toBeUndefined()
  })
})
