/** The options of a benchmark: `--help` explains and measures nothing, what is not known is an error and no measurement. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'

/** `usage`: the command and a line per option, as `--help` prints it. */
export function benchOptions<T extends ParseArgsOptionsConfig>(usage: string, options: T) {
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: 'boolean', short: 'h' } } })
    if (!process.argv.slice(2).some(word => word === '--help' || word === '-h')) return values
    process.stdout.write(`${usage}\n`)
    process.exit(0)
  } catch (error) {
    const [first = 'unusable options'] = (error instanceof Error ? error.message : '').split('\n')
    process.stderr.write(`Error: ${first}; see --help\n`)
    process.exit(2)
  }
}
