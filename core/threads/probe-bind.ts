/**
 * Data threads listen with `reusePort`, which binds silently beside a stranger. So the main thread binds each new address
 * once for itself alone: that finds out who else has it, and which port a 0 becomes.
 */
import { lstat, unlink } from 'node:fs/promises'
import { connect, createServer, type ListenOptions } from 'node:net'
import type { ListenerConfig } from '../config/snapshot.ts'
import { MillraceError } from '../host/errors.ts'
import { listenerError } from '../host/listen-error.ts'

/**
 * Resolves the port of each TCP listener of a new snapshot.
 * @param current listeners that the threads have open now, with their ports: these are not probed
 * @throws MR_LISTEN naming the address and how to find out who has it
 */
export async function probeListeners(
  next: readonly ListenerConfig[],
  current: readonly ListenerConfig[],
  ports: Readonly<Record<string, number>>,
): Promise<Record<string, number>> {
  const resolved: Record<string, number> = {}
  const open = current.filter((listener) => !listener.socketPath)
  for (const listener of next) {
    if (listener.socketPath) {
      if (!current.some((other) => other.socketPath === listener.socketPath)) await probeSocketPath(listener)
      continue
    }
    const same = open.find((other) => other.host === listener.host && samePort(other, listener, ports))
    if (same) resolved[listener.name] = ports[same.name]
    else {
      const overlaps = open.some((other) => listener.port !== 0 && ports[other.name] === listener.port)
      resolved[listener.name] = await bindOnce(listener, overlaps)
    }
  }
  return resolved
}

/** A listener on port 0 keeps the port that it was given under its name. */
function samePort(
  open: ListenerConfig,
  wanted: ListenerConfig,
  ports: Readonly<Record<string, number>>,
): boolean {
  return wanted.port === 0 ? open.port === 0 && open.name === wanted.name : ports[open.name] === wanted.port
}

/** @param beside our own threads have the port on another address: then only `reusePort` can bind, as they will */
function bindOnce(listener: ListenerConfig, beside: boolean): Promise<number> {
  const options: ListenOptions = { host: listener.host, port: listener.port, exclusive: true }
  if (beside) options.reusePort = true
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) => reject(listenerError(listener, error)))
    server.listen(options, () => {
      const address = server.address()
      const port = typeof address === 'object' && address ? address.port : listener.port
      server.close(() => resolve(port))
    })
  })
}

/**
 * Makes way for a unix socket: the file that a dead process left is removed, a live one is an error.
 * @throws MR_LISTEN
 */
export async function probeSocketPath(listener: Pick<ListenerConfig, 'name' | 'socketPath'>): Promise<void> {
  const path = listener.socketPath
  const stats = await lstat(path).catch(() => undefined)
  if (!stats) return
  if (!stats.isSocket()) {
    throw new MillraceError('MR_LISTEN', `listener ${listener.name}: ${path} exists and is not a socket`)
  }
  if (await answers(path)) {
    const message = `listener ${listener.name}: another process listens on ${path}; to see which: lsof ${path}`
    throw new MillraceError('MR_LISTEN', message)
  }
  await unlink(path).catch(() => {})
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Only "refused" proves that nobody is there; no permission or a full queue does not.
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'))
  })
}

/** Whether sockets of several threads can listen on one port here. */
export function canReusePort(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port: 0, reusePort: true }, () => server.close(() => resolve(true)))
  })
}
