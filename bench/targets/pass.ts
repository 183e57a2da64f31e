/** The bare pass-through: node:http in, node:http out, nothing in between. */
import { Agent, createServer, request } from 'node:http'

const upstream = Number(process.env['UPSTREAM_PORT'])
const agent = new Agent({ keepAlive: true, maxSockets: 512 })

createServer({ noDelay: true, keepAliveTimeout: 120_000 }, (req, res) => {
  const out = request(
    {
      host: '127.0.0.1',
      port: upstream,
      path: req.url ?? '/',
      method: req.method ?? 'GET',
      headers: req.headers,
      agent,
    },
    answer => {
      res.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(res)
    },
  )
  out.on('error', () => res.destroy())
  req.pipe(out)
}).listen(Number(process.env['PORT']), '127.0.0.1', 1024)
