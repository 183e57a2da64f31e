/** In runtimes that run programs. */
import given from './given.json' with { type: 'json' }
import { run } from './scenario.mjs'

console.log(JSON.stringify(await run(given)))
