/** What the API answers when it does not do what was asked; and what the log says of it. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Log } from '../contracts/plugin.ts'
import type { RawClock } from '../host/clock.ts'
import { type ApiErrorBody, answerOf } from './errors.ts'

/** Whoever tries tokens must not fill the log. */
const tellEveryMs = 10_000

/** @returns called for each request without a valid token */
export function refusals(app: FastifyInstance, log: Log, clock: RawClock): (request: FastifyRequest) => void {
  app.setNotFoundHandler((request, reply) => {
    const body: ApiErrorBody = {
      code: 'MR_NOT_FOUND',
      message: `there is no ${request.method} ${request.url.split('?')[0]}`,
      hint: 'GET /openapi.json lists what there is',
      request: request.id,
    }
    return reply.code(404).send(body)
  })
  app.setErrorHandler((error: unknown, request, reply) => {
    const answer = answerOf(error)
    if (answer) {
      request.refusal = answer.body.code
      return reply.code(answer.status).send({ ...answer.body, request: request.id })
    }
    log.error('api: a request failed', { request: request.id, url: request.url, error })
    request.refusal = 'MR_INTERNAL'
    const message = 'something went wrong here; the log has it under this request id'
    const body: ApiErrorBody = { code: 'MR_INTERNAL', message, request: request.id }
    return reply.code(500).send(body)
  })
  let count = 0
  let toldAt = Number.NEGATIVE_INFINITY
  return ({ ip, method, url }) => {
    count++
    if (clock.now() - toldAt < tellEveryMs) return
    log.warn('api: a request without a valid token', { from: ip, method, url: url.split('?')[0], count })
    toldAt = clock.now()
    count = 0
  }
}
