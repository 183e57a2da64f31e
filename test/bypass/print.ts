/** Writes docs/bypass-matrix.md: `node test/bypass/print.ts`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { matrixPage } from './page.ts'

writeFileSync(join(import.meta.dirname, '../../docs/bypass-matrix.md'), matrixPage())
