/**
 * Verification, index and queries on logs that `generate.ts` made: `node bench/audit/measure.ts ten-million.jsonl`. Runs the built
 * program as a user does and prints, per command, wall time and CPU time of the whole process: on a machine that does other
 * things meanwhile the second one counts.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))
const KEY = Buffer.from(Uint8Array.from({ length: 32 }, (_, i) => i)).toString('hex')

for (const log of process.argv.slice(2)) {
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n')
  const last: unknown = JSON.parse(lines.at(-1) ?? '{}')
  const id = typeof last === 'object' && last !== null && 'entry_id' in last ? String(last.entry_id) : ''
  const load = loadavg()[0]?.toFixed(1)
  console.log(`${log}, node ${process.version}, ${availableParallelism()} cores, load before ${load}`)
  if (existsSync(`${log}.index`)) rmSync(`${log}.index`)
  const commands = [
    ['verify', log, '--hmac-secret', KEY],
    ['index', log],
    ['tail', log],
    ['tail', log, '--filter', 'decision=block', '-n', '20'],
    ['tail', log, '--filter', 'owner=agent:owner-9@example.com', '-n', '20'],
    ['show', id, log],
    ['count', log, '--by', 'check'],
    ['count', log, '--by', 'owner'],
    ['report', log, '--since', '7d', '--no-anonymize', '--no-verify'],
  ]
  for (const args of commands) {
    const began = performance.now()
    const ran = spawnSync(
      'sh',
      ['-c', 'exec 3>&2; "$@" 2>&1 >/dev/null; times >&3', 'sh', process.execPath, PROGRAM, 'audit', ...args],
      {
        encoding: 'utf8',
      },
    )
    const wall = (performance.now() - began) / 1000
    // POSIX `times`: the second line is the children's user and system time.
    const [, children = ''] = ran.stderr.trim().split('\n').slice(-2)
    const cpu = [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce((s, m) => s + Number(m[1]) * 60 + Number(m[2]), 0)
    const shown = args.filter(a => a !== KEY && a !== '--hmac-secret').join(' ')
    console.log(`  audit ${shown}: ${wall.toFixed(2)} s, CPU ${cpu.toFixed(2)} s`)
  }
}
