/** A TCP relay in front of a server, whose connections can go silent without ending: how a bus fails worst. */
import { connect, createServer, type Socket } from 'node:net'

export interface Relay {
  readonly port: number
  /** Until {@link heal} nothing passes, on old connections and new ones, and none of them ends. */
  freeze(): void
  /** What was frozen ends now, as a far side does that finds its peer gone. */
  heal(): void
  close(): Promise<void>
}

/** @param target port on loopback, asked for at each new connection */
export async function startRelay(target: () => number): Promise<Relay> {
  const open = new Set<Socket>()
  let isFrozen = false
  const server = createServer((client) => {
    const upstream = connect(target(), '127.0.0.1')
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ]) {
      open.add(from)
      // Else it waits for more where an end sends several small messages in a row, and is measured with them.
      from.setNoDelay()
      from.on('data', (chunk) => {
        if (!isFrozen) to.write(chunk)
      })
      from.on('error', () => {})
      from.on('close', () => {
        open.delete(from)
        to.destroy()
      })
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const endAll = (): void => {
    for (const socket of open) socket.destroy()
  }
  return {
    port: (server.address() as { port: number }).port,
    freeze() {
      isFrozen = true
    },
    heal() {
      isFrozen = false
      endAll()
    },
    async close() {
      endAll()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
