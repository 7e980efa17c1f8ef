import zlib from 'node:zlib'
import { type BodyTransform, definePlugin, type Filter, type ResponseView, size, z } from 'millrace'
import { chooseCoding } from '../lib/accept-encoding.ts'

const codings = ['zstd', 'br', 'gzip'] as const
type Coding = (typeof codings)[number]

const options = z.strictObject({
  types: z
    .array(
      z
        .string()
        .regex(
          /^[a-z0-9!#$&^_.+-]+\/(\*|[a-z0-9!#$&^_.+-]+)$/,
          'expected a media type such as text/html or text/*',
        ),
    )
    .min(1)
    .default([
      'text/*',
      'application/json',
      'application/javascript',
      'application/xml',
      'application/manifest+json',
      'application/ld+json',
      'application/wasm',
      'image/svg+xml',
    ])
    .describe('Media types that are worth it; text/* is all of text'),
  minimum: size
    .prefault('1KiB')
    .describe('Shorter bodies are sent as they are; those of unknown length are compressed'),
  encodings: z
    .array(z.enum(codings))
    .min(1)
    .default(['zstd', 'br', 'gzip'])
    .describe('What is made, best first: where the client likes several equally, the first'),
})

type Compressor = zlib.Gzip | zlib.BrotliCompress | zlib.ZstdCompress

/** Levels for answers that are made anew each time: near the fastest, where most of the gain is. */
function compressorOf(coding: Coding): Compressor {
  const { constants } = zlib
  if (coding === 'gzip') return zlib.createGzip({ level: 5 })
  if (coding === 'zstd')
    return zlib.createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3 } })
  return zlib.createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 4 } })
}

const flushes: Readonly<Record<Coding, number>> = {
  gzip: zlib.constants.Z_SYNC_FLUSH,
  br: zlib.constants.BROTLI_OPERATION_FLUSH,
  zstd: zlib.constants.ZSTD_e_flush,
}

/**
 * One body. zlib works on the thread pool, piece by piece: the promise of each holds the backend back until its bytes have
 * been made. Each piece is flushed, so that what a backend sends slowly does not wait for what comes later.
 */
class Compression implements BodyTransform {
  readonly #stream: Compressor
  readonly #flush: number
  #push: (chunk: Uint8Array) => void = () => {}
  #failed: Error | undefined

  constructor(coding: Coding) {
    this.#stream = compressorOf(coding)
    this.#flush = flushes[coding]
    this.#stream.on('data', (piece: Buffer) => this.#push(piece))
    this.#stream.on('error', (error) => {
      this.#failed = error
    })
  }

  transform(chunk: Uint8Array, push: (chunk: Uint8Array) => void): Promise<void> {
    this.#push = push
    return this.#until((done) => {
      this.#stream.write(chunk)
      this.#stream.flush(this.#flush, done)
    })
  }

  flush(push: (chunk: Uint8Array) => void): Promise<void> {
    this.#push = push
    return this.#until((done) => {
      this.#stream.once('end', done)
      this.#stream.end()
    })
  }

  /** The exchange is over, however. */
  close(): void {
    this.#stream.destroy()
  }

  #until(start: (done: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failed) reject(this.#failed)
      const fail = (error?: Error | null): void => reject(error ?? new Error('the compression was given up'))
      this.#stream.once('close', fail)
      this.#stream.once('error', fail)
      start(() => {
        // What is still held comes out, by 'data'.
        while (this.#stream.read() !== null);
        this.#stream.off('close', fail)
        this.#stream.off('error', fail)
        resolve()
      })
    })
  }
}

class Types {
  readonly #exact: ReadonlySet<string>
  readonly #groups: ReadonlySet<string>

  constructor(types: readonly string[]) {
    this.#exact = new Set(types.filter((type) => !type.endsWith('/*')))
    this.#groups = new Set(types.filter((type) => type.endsWith('/*')).map((type) => type.slice(0, -2)))
  }

  has(contentType: string | undefined): boolean {
    const type = (contentType ?? '').split(';', 1)[0].trim().toLowerCase()
    // Events are few bytes each, and there may be no next one for hours.
    if (type === 'text/event-stream') return this.#exact.has(type)
    return this.#exact.has(type) || this.#groups.has(type.split('/', 1)[0])
  }
}

const bodyless = new Set([204, 205, 206, 304])

/** RFC 9110 §8.8.3: the compressed form is another representation; it is the same only weakly. */
function weaken({ headers }: ResponseView): void {
  const tag = headers.get('etag')
  if (tag?.startsWith('"')) headers.set('ETag', `W/${tag}`)
}

function varies({ headers }: ResponseView): void {
  const names = headers.getAll('vary').join(',').toLowerCase().split(',')
  if (!names.some((name) => ['*', 'accept-encoding'].includes(name.trim())))
    headers.append('Vary', 'Accept-Encoding')
}

/** What the backend said of its bytes would be wrong of ours. */
const digests = ['content-md5', 'digest', 'content-digest', 'repr-digest']

function mayChange({ headers, status, own }: ResponseView): boolean {
  if (own || bodyless.has(status) || headers.has('content-encoding') || headers.has('content-range'))
    return false
  if (/(^|[,\s])no-transform($|[,\s])/i.test(headers.getAll('cache-control').join(','))) return false
  return !digests.some((name) => headers.has(name))
}

/**
 * Compresses answers for clients that take it: those of the given types, not compressed already, long enough, without
 * `Cache-Control: no-transform`, Content-Range or a digest. Answers that could be compressed vary by Accept-Encoding, also
 * where this one was not; strong ETags become weak; ranges are no longer offered. Our own answers are left as they are.
 */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'compress',
  description: 'Compresses answers with zstd, brotli or gzip.',
  options,
  create(_context, { types: list, minimum, encodings }) {
    const types = new Types(list)
    return {
      onResponse(exchange) {
        const { request, response } = exchange
        if (
          response === undefined ||
          !types.has(response.headers.get('content-type')) ||
          !mayChange(response)
        )
          return
        const { headers } = response
        const length = headers.get('content-length')
        if (length !== undefined && Number(length) < minimum) return
        varies(response)
        // Its Content-Length would be that of a body which a GET does not get.
        if (request.method === 'HEAD') return
        const accepts = request.headers.getAll('accept-encoding')
        const coding = chooseCoding(accepts.length === 0 ? undefined : accepts.join(','), encodings)
        if (coding === undefined) return
        weaken(response)
        headers.set('Content-Encoding', coding)
        headers.remove('accept-ranges')
        const compression = new Compression(coding)
        exchange.state = compression
        response.transformBody(compression)
      },
      onDone(exchange) {
        if (exchange.state instanceof Compression) exchange.state.close()
      },
    } satisfies Filter
  },
})
