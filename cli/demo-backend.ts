/** A backend of the demo: a process of its own, so that it can be killed. Started by demo.ts; it sends its port up and
 * ends when its parent does. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'

const number = process.argv[2]

const server = http.createServer((request, response) => {
  request.resume()
  if (request.url === '/health') {
    response.end('ok\n')
    return
  }
  response.setHeader('content-type', 'text/plain; charset=utf-8')
  response.setHeader('x-backend', number)
  response.end(`Hello from backend ${number} (pid ${process.pid}): ${request.method} ${request.url}\n`)
})

// A Ctrl-C in the terminal reaches every process; this one serves until the proxy has drained.
process.on('SIGINT', () => {})
process.on('SIGHUP', () => {})
process.on('disconnect', () => process.exit(0))
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  // The parent may be gone already; that is told by `disconnect`.
  process.send?.(port, undefined, undefined, () => {})
})
