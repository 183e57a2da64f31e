#!/usr/bin/env node
// Written so that an old Node can still read it: it must be able to say that it is too old. Everything else is imported after that.
const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  process.stderr.write(
    `Error: signet needs Node.js 24 or later, and this is ${process.version}. Get it at https://nodejs.org/\n`,
  )
  process.exitCode = 2
} else {
  import('./engine.ts')
    .then(engine => engine.keepCompiledCode())
    .then(() => import('./main.ts'))
    .then(
      main => main.start(),
      error => {
        const reason = error instanceof Error ? error.message.split('\n')[0] : 'unknown error'
        process.stderr.write(`Error: signet cannot start: ${reason}\n`)
        process.exitCode = 2
      },
    )
}
