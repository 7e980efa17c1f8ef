/** `/v1/events`: what happens in the fleet, as Server-Sent Events. */
import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { RawClock } from '../host/clock.ts'
import { MillraceError } from '../host/errors.ts'
import type { EventHub, FleetEvent } from './event-hub.ts'
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
export const mostWaiting = 256 * 1024

export function eventRoutes(app: FastifyInstance, { hub, clock }: EventRouteDeps): void {
  const streams = new Set<ServerResponse>()
  app.addHook('preClose', async () => {
    for (const stream of streams) stream.destroy()
  })
  app.get('/v1/events', {
    exposeHeadRoute: false,
    schema: {
      summary: 'What happens in the fleet, as Server-Sent Events',
      description:
        'config, overrides, node, nack; reset when events may be missing since Last-Event-ID. A comment every 15 s. A reader that is too slow is dropped.',
      tags: ['events'],
      headers: { type: 'object', properties: { 'last-event-id': { type: 'string', maxLength: 200 } } },
      response: answers({
        200: { description: 'Events', content: { 'text/event-stream': { schema: { type: 'string' } } } },
      }),
    },
    async handler(request, reply) {
      if (streams.size >= mostStreams)
        throw new MillraceError('MR_OVERLOADED', `${mostStreams} listen already; try again later`)
      const stream = reply.raw
      const waiting: FleetEvent[] = []
      const isOpen = { now: false }
      const listen = (event: FleetEvent): void => {
        if (isOpen.now) send(stream, textOf(event))
        else waiting.push(event)
      }
      const last = request.headers['last-event-id']
      const subscription = await hub.subscribe(typeof last === 'string' ? last : undefined, listen)
      if (stream.destroyed) {
        subscription.close()
        reply.hijack()
        return
      }
      streams.add(stream)
      const heartbeat = clock.every(heartbeatMs, () => send(stream, ': alive\n\n'))
      // What goes wrong with a connection closes it.
      stream.on('error', () => {})
      stream.on('close', () => {
        heartbeat.cancel()
        streams.delete(stream)
        subscription.close()
      })
      reply.hijack()
      stream.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
        'x-content-type-options': 'nosniff',
        'millrace-request-id': request.id,
      })
      stream.write('retry: 2000\n: from here on\n\n')
      isOpen.now = true
      for (const event of waiting) send(stream, textOf(event))
    },
  })
}

function textOf({ id, event, data }: FleetEvent): string {
  return `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

/** Whoever does not read is not waited for. */
function send(stream: ServerResponse, text: string): void {
  if (stream.destroyed) return
  if (stream.writableLength > mostWaiting) stream.destroy()
  else stream.write(text)
}
