/** A TCP relay between a client and a server, that can be cut, and can lose answers. */
import { connect, createServer, type Socket } from 'node:net'
import { release, type Scoped } from './cleanup.ts'

export interface Relay {
  readonly port: number
  /** Ends all connections, and every new one at once. */
  cut(): void
  heal(): void
  /** The next answer that holds these bytes, or is the one meant, does not arrive, and its connection is lost. */
  loseAnswer(meant: string | ((chunk: Buffer) => boolean)): void
  /** What is connected carries nothing any more, for good, and no connection ends; new ones are so too, until {@link heal}. */
  freeze(): void
  /** New connections lead to another port; those that are there end. */
  leadTo(port: number): void
  close(): Promise<void>
}

export async function startRelay(first: number, scope: Scoped = {}): Promise<Relay> {
  const sockets = new Set<Socket>()
  const dead = new WeakSet<Socket>()
  let target = first
  let isCut = false
  let isFrozen = false
  let losing: ((chunk: Buffer) => boolean) | undefined
  const endAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const server = createServer((client) => {
    if (isCut) return void client.destroy()
    const upstream = connect(target, '127.0.0.1')
    const pair = [client, upstream]
    if (isFrozen) dead.add(client)
    for (const socket of pair) {
      sockets.add(socket)
      socket.setNoDelay()
      socket.on('error', () => {})
      socket.on('close', () => {
        for (const each of pair) {
          sockets.delete(each)
          each.destroy()
        }
      })
    }
    client.on('data', (chunk) => {
      if (!dead.has(client)) upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      if (dead.has(client)) return
      if (losing?.(chunk)) {
        losing = undefined
        return void client.destroy()
      }
      client.write(chunk)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async (): Promise<void> => {
    endAll()
    await new Promise((resolve) => server.close(resolve))
  }
  release(scope, close)
  return {
    port: (server.address() as { port: number }).port,
    cut() {
      isCut = true
      endAll()
    },
    heal() {
      isCut = false
      isFrozen = false
    },
    loseAnswer(meant) {
      losing = typeof meant === 'string' ? (chunk) => chunk.includes(meant) : meant
    },
    freeze() {
      isFrozen = true
      for (const socket of sockets) dead.add(socket)
    },
    leadTo(port) {
      target = port
      endAll()
    },
    close,
  }
}
