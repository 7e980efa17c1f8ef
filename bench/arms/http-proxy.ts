/**
 * `http-proxy` with what its users are told to set: a keep-alive agent. Run as
 * `node http-proxy.ts PORT BACKEND-PORT PACKAGE-URL`.
 */
import { Agent, createServer, ServerResponse } from 'node:http'

const [port, backendPort, packageUrl] = process.argv.slice(2)
const { default: httpProxy } = (await import(packageUrl)) as typeof import('http-proxy')
const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${backendPort}`,
  agent: new Agent({ keepAlive: true, maxSockets: 256, maxFreeSockets: 256 }),
  xfwd: true,
})
proxy.on('error', (_error, _request, response) => {
  if (!(response instanceof ServerResponse)) response.destroy()
  else if (response.headersSent) response.destroy()
  else response.writeHead(502).end()
})
const server = createServer({ keepAliveTimeout: 300_000 }, (request, response) =>
  proxy.web(request, response),
)
server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 })
