/** `request.readBody`: the whole body in memory, up to a limit, before a backend is asked. */
import { type ErrorCode, MillraceError } from '../host/errors.ts'
import type { Exchange } from './exchange.ts'
import { phase } from './exchange-state.ts'

/** A filter that waits for the whole body. */
export interface Collector {
  /** Bytes that it takes at most. */
  readonly limit: number
  done(error: ErrorCode | undefined): void
}

/** What was read of a body, while transforms for it are attached. */
export interface Collected {
  readonly pieces: readonly Buffer[]
  readonly whole: boolean
}

export function collectBody(exchange: Exchange, limit: number): Promise<Uint8Array> {
  const tooLarge = (): MillraceError =>
    new MillraceError('MR_BODY_TOO_LARGE', `the request body is longer than ${limit} bytes`)
  if (exchange.phase === phase.idle)
    return Promise.reject(new MillraceError('MR_BAD_REQUEST', 'the exchange is over'))
  // Part of it may be with a backend, or with nobody.
  if (exchange.phase !== phase.filtering)
    return Promise.reject(new MillraceError('MR_PLUGIN_FAULT', 'readBody works in onRequest only'))
  // Another filter may have begun to read, with a limit of its own.
  if (exchange.requestLength > limit || exchange.bufferedBytes > limit) return Promise.reject(tooLarge())
  if (exchange.requestDone) return Promise.resolve(Buffer.concat(exchange.buffered))
  return new Promise((resolve, reject) => {
    const done = (error: ErrorCode | undefined): void => {
      // All of it is held so far, whatever `retries.bodyBuffer` says.
      exchange.keepsBody = true
      if (error === 'MR_BODY_TOO_LARGE') reject(tooLarge())
      else if (error) reject(new MillraceError(error, 'the request body did not come whole, or not in time'))
      else resolve(Buffer.concat(exchange.buffered))
    }
    exchange.collectors = [...(exchange.collectors ?? []), { limit, done }]
    if (exchange.collected) releaseCollected(exchange)
    // The backend cannot ask for this body any more: we do.
    exchange.client.askForBody()
    if (exchange.requestPipe) exchange.requestPipe.resume()
    else exchange.client.resumeBody()
  })
}

/** Refuses those who take less than has come. False: nobody is left, and no more is wanted. */
export function refuseLong(exchange: Exchange): boolean {
  const { collectors = [], bufferedBytes } = exchange
  const left = collectors.filter(({ limit }) => bufferedBytes <= limit)
  exchange.collectors = left.length > 0 ? left : undefined
  for (const one of collectors) if (bufferedBytes > one.limit) one.done('MR_BODY_TOO_LARGE')
  return left.length > 0
}

/** The body is complete, or nobody waits for it any longer. */
export function endCollecting(exchange: Exchange, error: ErrorCode | undefined): void {
  const { collectors = [] } = exchange
  exchange.collectors = undefined
  for (const one of collectors) one.done(error)
}

/**
 * A filter attaches a transform behind one that has read the body, or the part that was within its limit: what was read is
 * to pass it too, once all are attached.
 * @throws MR_BODY_TOO_LARGE where that part came out of transforms that still run: its place in their output is lost
 */
export function holdCollected(exchange: Exchange): void {
  if (!exchange.requestDone && exchange.requestPipe) {
    throw new MillraceError('MR_BODY_TOO_LARGE', 'a filter before has refused the body in the middle')
  }
  if (exchange.collectors) endCollecting(exchange, 'MR_PLUGIN_TIMEOUT')
  exchange.collected = { pieces: exchange.buffered, whole: exchange.requestDone }
  exchange.buffered = []
  exchange.bufferedBytes = 0
  exchange.requestDone = false
  exchange.requestPipe = exchange.plane.requestPipe(exchange)
}

/** Sends what was held through those transforms. False: wait for the pipe. */
export function releaseCollected(exchange: Exchange): boolean {
  const { pieces, whole } = exchange.collected!
  exchange.collected = undefined
  const pipe = exchange.requestPipe!
  let go = true
  for (const piece of pieces) go = pipe.write(piece)
  if (whole) pipe.end()
  return go
}
