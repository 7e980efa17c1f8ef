import {
  type BodyTransform,
  definePlugin,
  type Filter,
  MillraceError,
  type OwnResponse,
  size,
  z,
} from 'millrace'

const options = z.strictObject({
  limit: size.describe('Bytes that a request body may have, such as 1MiB'),
})

const tooLarge: OwnResponse = {
  status: 413,
  headers: { 'Cache-Control': 'no-store' },
  body: 'The request body is too large.\n',
}

/** Counts a body that did not say how long it is. */
class Counter implements BodyTransform {
  readonly #limit: number
  #bytes = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  transform(chunk: Uint8Array, push: (chunk: Uint8Array) => void): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#limit) {
      throw new MillraceError('MR_BODY_TOO_LARGE', `the request body is longer than ${this.#limit} bytes`)
    }
    push(chunk)
  }
}

/**
 * Refuses longer request bodies with 413: at once where Content-Length says so, else (chunked) when the limit is
 * passed, while the body streams; the backend then sees a request that breaks off, never a complete one. Where the answer
 * has begun already, it is cut off. `limits.body` of the config holds for all requests beside it.
 */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'body-limit',
  description: 'Refuses request bodies that are too long.',
  options,
  create(_context, { limit }) {
    return {
      // HOT
      onRequest(exchange) {
        const { request } = exchange
        const { bodyLength } = request
        if (bodyLength > limit) exchange.respond(tooLarge)
        else if (bodyLength < 0) request.transformBody(new Counter(limit))
      },
    } satisfies Filter
  },
})
