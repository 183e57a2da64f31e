/**
 * A Python with the packages of `python/requirements.txt`: a virtual environment below `node_modules/.cache`, made once
 * for each content of that file and version of Python.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')
export const SCRIPTS = join(import.meta.dirname, 'python')
const REQUIREMENTS = join(SCRIPTS, 'requirements.txt')

/** The bytecode of what the scripts import; of their own none is left beside them. */
export const BYTECODE = join(ROOT, 'node_modules', '.cache', 'signet-python-bytecode')

/** The path of its interpreter. Throws one line that says what to install. */
export function pythonWithClients(command = 'python3'): string {
  const version = run(command, ['-VV'], 'install Python 3.11 or later (Debian: apt-get install python3 python3-venv)')
  run(
    command,
    ['-c', 'import sys; sys.exit(sys.version_info < (3, 11))'],
    `install Python 3.11 or later, not ${version.trim()}`,
  )
  run(command, ['-c', 'import venv, ensurepip'], 'install the venv module (Debian: apt-get install python3-venv)')
  const key = createHash('sha256').update(version).update(readFileSync(REQUIREMENTS)).digest('hex').slice(0, 16)
  const folder = join(ROOT, 'node_modules', '.cache', `signet-python-${key}`)
  const python = join(folder, 'bin', 'python')
  const complete = join(folder, '.complete')
  if (existsSync(complete)) return python
  rmSync(folder, { recursive: true, force: true })
  run(command, ['-m', 'venv', folder], 'install the venv module (Debian: apt-get install python3-venv)')
  const pip = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-compile',
    '--disable-pip-version-check',
    '--requirement',
    REQUIREMENTS,
  ]
  run(python, pip, `the packages of ${REQUIREMENTS} must be installable with pip`)
  writeFileSync(complete, '')
  return python
}

function run(file: string, args: readonly string[], fix: string): string {
  try {
    return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const said = error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error)
    throw new Error(`${file} ${args.join(' ')} failed: ${fix} (${said})`)
  }
}
