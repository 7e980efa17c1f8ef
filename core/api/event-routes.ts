/** `/v1/events`: what happens in the fleet, as Server-Sent Events. */
import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { RawClock } from '../host/clock.ts'
import { MillraceError } from '../host/errors.ts'
import { ApiError } from './errors.ts'
import { type EventHub, type FleetEvent, mostKept, resetAt } from './event-hub.ts'
import { answers } from './schemas.ts'

export interface EventRouteDeps {
  readonly hub: EventHub
  readonly clock: RawClock
}

/** Each is a connection, and a buffer of the system's. */
const mostStreams = 100
/** So that proxies in between, and the client, see that it lives. */
const heartbeatMs = 15_000
/** What may wait for a client that reads too slowly; beyond it the client is dropped, and comes again with `Last-Event-ID`. */
const mostWaiting = mostKept

const description =
  'config, overrides, node, nack; reset when events may be missing since Last-Event-ID. A comment every 15 s. A reader that is too slow is dropped.'

export function eventRoutes(app: FastifyInstance, deps: EventRouteDeps): void {
  const streams = new Set<ServerResponse>()
  app.addHook('preClose', async () => {
    for (const stream of streams) stream.destroy()
  })
  app.get('/v1/events', {
    exposeHeadRoute: false,
    schema: {
      summary: 'What happens in the fleet, as Server-Sent Events',
      description,
      tags: ['events'],
      headers: { type: 'object', properties: { 'last-event-id': { type: 'string', maxLength: 200 } } },
      response: answers({
        200: { description: 'Events', content: { 'text/event-stream': { schema: { type: 'string' } } } },
      }),
    },
    async handler(request, reply) {
      if (streams.size >= mostStreams)
        throw new MillraceError('MR_OVERLOADED', `${mostStreams} listen already; try again later`)
      const { raw } = reply
      // Behind another answer of its connection it would not begin before that one ends, nor hear when the client has gone.
      if (raw.socket === null)
        throw new ApiError(
          'MR_BAD_REQUEST',
          'events need a connection on which nothing else is answered first',
        )
      streams.add(raw)
      raw.on('close', () => streams.delete(raw))
      const last = request.headers['last-event-id']
      try {
        await stream(deps, raw, request.id, typeof last === 'string' ? last : undefined)
      } catch (error) {
        streams.delete(raw)
        throw error
      }
      reply.hijack()
    },
  })
}

/** Settles when the stream has begun. @throws MR_STORE_* when there is nothing to begin from; nothing was sent then */
async function stream(
  { hub, clock }: EventRouteDeps,
  raw: ServerResponse,
  request: string,
  last: string | undefined,
): Promise<void> {
  const first: FleetEvent[] = []
  let isOpen = false
  const subscription = await hub.subscribe(last, (event) => {
    if (isOpen) send(raw, event.text)
    else first.push(event)
  })
  if (raw.destroyed) return subscription.close()
  const heartbeat = clock.every(heartbeatMs, () => send(raw, ': alive\n\n'))
  // What goes wrong with a connection closes it.
  raw.on('error', () => {})
  raw.on('close', () => {
    heartbeat.cancel()
    subscription.close()
  })
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    'x-content-type-options': 'nosniff',
    'millrace-request-id': request,
  })
  raw.write('retry: 2000\n: from here on\n\n')
  isOpen = true
  const missed = textOfAll(first)
  if (missed !== '') send(raw, missed)
}

/** Longer than what may wait, the client would be dropped, come again, and be dropped again: it reads everything anew instead. */
function textOfAll(events: readonly FleetEvent[]): string {
  const text = events.map((event) => event.text).join('')
  const newest = events.at(-1)
  return newest && Buffer.byteLength(text) > mostWaiting ? resetAt(newest.id).text : text
}

/** Whoever does not read is not waited for. */
function send(stream: ServerResponse, text: string): void {
  if (stream.destroyed) return
  if (stream.writableLength > mostWaiting) stream.destroy()
  else stream.write(text)
}
