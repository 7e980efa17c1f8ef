/**
 * @fastify/reply-from as its README advises for speed: undici (its default), the URL cache on, no logging; every path, the query
 * as it is, bodies streamed. Equal work with the other arms: keep-alive on both sides, X-Forwarded-For, Host unchanged. Run as
 * `node reply-from.ts PORT BACKEND-PORT PACKAGE-URL`.
 */
import type { FastifyReplyFromHooks } from '@fastify/reply-from'
import fastify from 'fastify'

const [port, backendPort, packageUrl] = process.argv.slice(2)
const { default: replyFrom } = (await import(packageUrl)) as typeof import('@fastify/reply-from')
const server = fastify({
  logger: false,
  disableRequestLogging: true,
  keepAliveTimeout: 300_000,
  // Bodies go through as they come, so their length is the backend's business.
  bodyLimit: Number.MAX_SAFE_INTEGER,
})
await server.register(replyFrom, {
  base: `http://127.0.0.1:${backendPort}`,
  undici: { connections: 256, pipelining: 1, keepAliveTimeout: 300_000 },
  disableRequestLogging: true,
})
// A body is passed on as the stream that it is, not read and written anew.
server.removeAllContentTypeParsers()
server.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
const options: FastifyReplyFromHooks = {
  rewriteRequestHeaders: (request, headers) => {
    headers.host = request.headers.host
    headers['x-forwarded-for'] = request.ip
    return headers
  },
  // Of the backend's connection, not of the client's.
  rewriteHeaders: (headers) => {
    delete headers.connection
    delete headers['keep-alive']
    return headers
  },
}
server.all('/*', (_request, reply) => reply.from(undefined, options))
await server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 })
