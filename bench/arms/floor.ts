/**
 * The least that any proxy on node:net does: bytes go from one socket to the other unread, one connection to the backend for
 * each client. No proxy that parses HTTP can cost less. Run as `node floor.ts PORT BACKEND-PORT`.
 */
import net from 'node:net'

const [port, backendPort] = process.argv.slice(2).map(Number)
/** One read for a 64 KiB answer and its head. */
const bufferBytes = 68 * 1024

function connect(client: net.Socket): net.Socket {
  const backend = net.connect({
    host: '127.0.0.1',
    port: backendPort,
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafeSlow(bufferBytes),
      // The buffer is read into again only when it has been written as a whole.
      callback(length, bytes) {
        client.write(bytes.subarray(0, length))
        return client.writableLength === 0
      },
    },
  })
  client.on('drain', () => backend.resume())
  return backend
}

const server = net.createServer({ noDelay: true }, (client) => {
  const backend = connect(client)
  client.on('data', (bytes: Buffer) => {
    if (!backend.write(bytes)) client.pause()
  })
  backend.on('drain', () => client.resume())
  for (const [one, other] of [
    [client, backend],
    [backend, client],
  ]) {
    one.on('error', () => other.destroy())
    one.on('close', () => other.destroy())
  }
})
server.listen(port, '127.0.0.1', 4096)
