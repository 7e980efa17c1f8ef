/** `request.readBody`: the whole body in memory, up to a limit, before a backend is asked. */
import { MillraceError } from '../host/errors.ts'
import type { Exchange } from './exchange.ts'
import { phase } from './exchange-state.ts'

export function collectBody(exchange: Exchange, limit: number): Promise<Uint8Array> {
  const tooLarge = (): MillraceError =>
    new MillraceError('MR_BODY_TOO_LARGE', `the request body is longer than ${limit} bytes`)
  if (exchange.phase === phase.idle)
    return Promise.reject(new MillraceError('MR_BAD_REQUEST', 'the exchange is over'))
  if (exchange.requestDone) return Promise.resolve(Buffer.concat(exchange.buffered))
  if (exchange.requestLength > limit) return Promise.reject(tooLarge())
  return new Promise((resolve, reject) => {
    exchange.collectLimit = limit
    exchange.onCollected = (error) => {
      if (error === 'MR_BODY_TOO_LARGE') reject(tooLarge())
      else if (error) reject(new MillraceError(error, 'the client went away before its body was complete'))
      else {
        exchange.keepsBody = true
        resolve(Buffer.concat(exchange.buffered))
      }
    }
    // The backend cannot ask for this body any more: we do.
    exchange.client.askForBody()
    exchange.client.resumeBody()
  })
}
