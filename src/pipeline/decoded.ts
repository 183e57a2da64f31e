/**
 * The second reading of a content channel. A caller in JSON mode parses what the model said, so `\u0053ECRET` reaches it as
 * a marker that no check would find in the text itself. From the first backslash on, the channel is inspected once more
 * with its escapes decoded; its frames wait for both readings.
 *
 * A block in the decoded reading ends the answer like any other. A redaction there has no place in the text that would be
 * written, so it ends the answer too, unless the plain reading cuts the same.
 */
import type { MaybeAsync } from '../core/check.ts'
import type { InspectedChannel } from './channel.ts'
import { isThenable } from './guard.ts'
import { Unescaper } from './unescape.ts'

export class DecodedReading {
  readonly channel: InspectedChannel
  readonly #unescaper = new Unescaper()

  constructor(channel: InspectedChannel) {
    this.channel = channel
  }

  /** Where the decoded text of this piece stands. Text held back as half an escape belongs to a later piece. */
  push(text: string): { readonly from: number; readonly to: number; readonly done: MaybeAsync<void> } {
    const from = this.channel.length
    const decoded = this.#unescaper.push(text)
    return { from, to: from + decoded.length, done: this.channel.push(decoded) }
  }

  end(): MaybeAsync<void> {
    if (this.channel.ended) return undefined
    const pushed = this.channel.push(this.#unescaper.end())
    return isThenable(pushed) ? pushed.then(() => this.channel.end()) : this.channel.end()
  }
}
