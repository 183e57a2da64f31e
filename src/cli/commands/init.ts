/** `signet init`: a project that works at once, with keys of its own. What exists is never touched. */
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Context, fileError, located, pathOption, type Register } from '../context.ts'
import { CommandError, DONE, FAILED } from '../failure.ts'

export const registerInit: Register = (program, context) => {
  program
    .command('init')
    .description('write a pipeline, keys and an example client into a folder')
    .argument('[folder]', 'where to', pathOption, '.')
    .action((folder: string) => init(folder, context))
}

async function init(shown: string, context: Context): Promise<void> {
  const { terminal } = context
  const { scaffold } = await import('../scaffold.ts')
  const { writeNewFile } = await import('../new-file.ts')
  const folder = located(context, shown)
  try {
    mkdirSync(folder, { recursive: true })
    if (!statSync(folder).isDirectory()) throw new CommandError(`${shown}: is not a folder`)
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw error instanceof Error && 'code' in error && error.code === 'EEXIST'
      ? new CommandError(`${shown}: is not a folder; choose another`)
      : fileError(shown, error)
  }

  let written = 0
  for (const { name, text, mode, skippedMatters } of scaffold()) {
    const outcome = writeNewFile(join(folder, name), text, mode)
    if (outcome === 'written') {
      written++
      terminal.line({ text: 'wrote  ', colour: 'green' }, ' ', name)
      continue
    }
    terminal.line(
      { text: 'skipped', colour: 'yellow' },
      ' ',
      name,
      outcome === 'exists' ? ' (exists)' : ` (${outcome})`,
    )
    if (skippedMatters !== undefined) terminal.note({ text: 'note: ', colour: 'yellow' }, skippedMatters)
  }
  if (written === 0) {
    terminal.note(
      { text: 'Error: ', colour: 'red' },
      'nothing written, every file exists already; choose another folder or remove what should be new',
    )
    context.exit(FAILED)
    return
  }
  terminal.line('')
  terminal.line({ text: 'Next:', colour: 'bold' })
  if (shown !== '.') terminal.line('  cd ', shown)
  terminal.line('  npm install signet-gate                  once; or the path of its package file')
  terminal.line('  npx signet serve --upstream demo --dev   a built-in demo model, no account needed')
  terminal.line('  node client-example.mjs                  in another terminal')
  terminal.line('  npx signet audit verify audit.jsonl      check what was recorded')
  context.exit(DONE)
}
