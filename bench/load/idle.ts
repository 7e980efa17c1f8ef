import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { findArm } from '../arms/catalog.ts'
import type { IdleSample } from '../report/results.ts'
import { descriptorLimit, residentBytes } from '../stats/process-tree.ts'
import { shuffled } from '../stats/random.ts'
import { attempt, loadCore, type Session, withArm } from './session.ts'
import { runWrk } from './wrk.ts'

/** Planned seconds of one measurement. */
export const idleSeconds = 20
const idleArms = ['nginx', 'haproxy', 'millrace', 'passthrough']
const addresses = 20

/** Memory of connections that have done one request and now wait; up to three rounds. */
export async function measureIdle(session: Session): Promise<void> {
  const { idleConnections } = session.options
  if (descriptorLimit() < idleConnections + 1_000) {
    throw new Error(`idle: ${idleConnections} connections need a higher limit of open files (ulimit -Hn)`)
  }
  for (let round = 1; round <= idleRounds(session); round++) {
    for (const name of shuffled(session.options.arms ?? idleArms, session.random)) {
      await attempt(session, `idle round ${round}  ${name.padEnd(12)}`, idleSeconds, async () => {
        const sample = await measureArm(session, name, round)
        session.results.idle.push(sample)
        return `${(sample.bytesPerConnection / 1024).toFixed(1)} KiB each, ${sample.held} held`
      })
    }
  }
}

export function idleRounds(session: Pick<Session, 'options'>): number {
  return Math.min(3, session.options.rounds)
}

function measureArm(session: Session, name: string, round: number): Promise<IdleSample> {
  const connections = session.options.idleConnections
  return withArm(session, findArm(name), {}, async (running) => {
    const url = `http://127.0.0.1:${running.port}/64`
    await runWrk(session.processes, { url, seconds: 1, connections: 64, cores: loadCore, upload: false })
    const residentBefore = await settledResident(running.started.pid)
    const sockets = await openConnections(running.port, connections, session.signal)
    try {
      const residentAfter = await settledResident(running.started.pid)
      return {
        arm: name,
        round,
        connections,
        held: sockets.filter((socket) => !socket.destroyed && socket.readyState === 'open').length,
        residentBefore,
        residentAfter,
        bytesPerConnection: (residentAfter - residentBefore) / connections,
      }
    } finally {
      for (const socket of sockets) socket.destroy()
    }
  })
}

/** Reads the resident set until it has moved less than 0.5 % in two seconds, ten seconds at most. */
export async function settledResident(pid: number): Promise<number> {
  const readings: number[] = []
  for (let reading = 0; reading < 20; reading++) {
    readings.push(residentBytes(pid))
    const last = readings.slice(-5)
    if (last.length === 5 && Math.max(...last) - Math.min(...last) < 0.005 * Math.max(...last)) break
    await delay(500)
  }
  return readings[readings.length - 1]
}

/** 64 at a time, from twenty source addresses in turn, so that neither ports nor a limit per address run out. */
export async function openConnections(port: number, count: number, signal: AbortSignal): Promise<Socket[]> {
  const sockets: Socket[] = []
  let next = 0
  const worker = async () => {
    while (next < count) {
      signal.throwIfAborted()
      sockets.push(await oneRequest(port, `127.0.0.${1 + (next++ % addresses)}`))
    }
  }
  await Promise.all(Array.from({ length: 64 }, worker))
  return sockets
}

/** Resolves with the open connection once its response is whole. */
function oneRequest(port: number, localAddress: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    const timer = setTimeout(() => socket.destroy(new Error('idle: no response in 10 s')), 10_000)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const head = text.indexOf('\r\n\r\n')
      if (head < 0 || text.length < head + 4 + 64) return
      clearTimeout(timer)
      if (text.startsWith('HTTP/1.1 200')) resolve(socket)
      else socket.destroy(new Error(`idle: unexpected answer ${text.slice(0, 60)}`))
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('idle: connection closed before its response was whole')))
    socket.write(`GET /64 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
  })
}
