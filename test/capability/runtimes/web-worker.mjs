/** In a browser, beside the page. */
import { run } from './scenario.mjs'

addEventListener('message', async ({ data }) => {
  try {
    postMessage({ answer: await run(data) })
  } catch (error) {
    postMessage({ error: String(error) })
  }
})
