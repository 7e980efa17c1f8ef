/** Finds a server of the ensemble that serves: names are resolved and servers asked without holding up the process. */
import { lookup } from 'node:dns/promises'
import { connect, isIP } from 'node:net'
import type { PluginContext } from 'millrace'
import type { Server } from './zookeeper-options.ts'

/** Of one server; the others are asked at the same time. */
const longestMs = 2000

/**
 * @returns the address of the server that answers first
 * @throws Error that says of each server why it is not the one
 */
export async function findServer(
  servers: readonly Server[],
  { clock, signal }: PluginContext,
  limitMs: number,
): Promise<Server> {
  const over = new AbortController()
  const timer = clock.after(Math.min(longestMs, limitMs), () => setImmediate(() => over.abort()))
  const either = AbortSignal.any([signal, over.signal])
  try {
    return await Promise.any(servers.map((server) => ask(server, either)))
  } catch (error) {
    const reasons = error instanceof AggregateError ? error.errors.map(textOf) : [textOf(error)]
    throw new Error([...new Set(reasons)].join('; '))
  } finally {
    timer.cancel()
    over.abort()
  }
}

async function ask({ host, port }: Server, signal: AbortSignal): Promise<Server> {
  const addresses = isIP(host) ? [host] : await addressesOf(host, signal)
  return Promise.any(addresses.map((address) => serves(address, port, signal))).catch((error) => {
    throw error instanceof AggregateError ? error.errors[0] : error
  })
}

/** A name server that is away takes longer than a server of the ensemble, and cannot be told to stop. */
async function addressesOf(host: string, signal: AbortSignal): Promise<string[]> {
  const late = new Promise<never>((_, reject) => {
    const fail = (): void => reject(new Error(`${host} is not resolved in time`))
    if (signal.aborted) fail()
    signal.addEventListener('abort', fail, { once: true })
  })
  const found = await Promise.race([lookup(host, { all: true }), late])
  return found.map(({ address }) => address)
}

/** `srvr` is the one word that every server answers, https://zookeeper.apache.org/doc/r3.8.0/zookeeperAdmin.html#sc_4lw */
function serves(address: string, port: number, signal: AbortSignal): Promise<Server> {
  return new Promise((resolve, reject) => {
    const name = isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`
    const socket = connect({ host: address, port })
    let said = ''
    const fail = (why: string): void => {
      socket.destroy()
      reject(new Error(`${name} ${why}`))
    }
    const look = (): void => {
      if (/not currently serving/i.test(said))
        fail('is not serving: its ensemble has no leader, or it does not reach it')
      else if (said === '') fail('closes the connection without a word')
      else resolve({ host: address, port })
    }
    socket.on('connect', () => socket.write('srvr'))
    socket.on('data', (chunk) => {
      said += chunk.toString('latin1')
      if (said.length > 10_000) socket.destroy()
    })
    socket.on('error', (error) => fail(`cannot be reached: ${textOf(error)}`))
    socket.on('close', look)
    signal.addEventListener('abort', () => fail('does not answer'), { once: true })
    if (signal.aborted) fail('does not answer')
  })
}

const textOf = (error: unknown): string =>
  error instanceof Error ? error.message || String((error as { code?: string }).code) : String(error)
