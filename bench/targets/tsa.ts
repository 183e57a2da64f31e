/** A time-stamping authority in a process of its own: what stamping costs is not the gate's. Arguments: port, where to write its root. */
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { makeTsa, pemOf, respond } from '../../src/audit/anchor/testing/tsa.test-support.ts'

const [port, rootFile] = process.argv.slice(2)
if (port === undefined || rootFile === undefined) throw new Error('expected a port and a file for the root certificate')
const tsa = await makeTsa()
writeFileSync(rootFile, pemOf(tsa.root))
createServer(async (request, response) => {
  if (request.method === 'GET') return response.end()
  const stamp = await respond(tsa, await buffer(request))
  return response.writeHead(200, { 'content-type': 'application/timestamp-reply' }).end(stamp)
}).listen(Number(port), '127.0.0.1')
