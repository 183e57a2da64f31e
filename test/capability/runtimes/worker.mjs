/** In runtimes that serve requests: a Worker. */
import { run } from './scenario.mjs'

export default {
  async fetch(request) {
    return Response.json(await run(await request.json()))
  },
}
