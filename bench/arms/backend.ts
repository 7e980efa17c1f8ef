import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { acceptedCounter, parseStubStatus } from './accepted.ts'
import { writeConfig } from './arm.ts'
import type { Processes, Started } from './processes.ts'
import { freePort, waitUntilReady } from './ready.ts'

export interface Backend {
  readonly started: Started
  readonly port: number
  /** Connections it has accepted so far, without those that asked for this. */
  accepted(): Promise<number>
}

/** Addresses that it listens on. */
export const mostBackends = 10

/** 127.0.0.1, 127.0.0.2 and so on. */
export function backendHosts(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `127.0.0.${at + 1}`)
}

/** An nginx of our own with its own prefix, pid file and port: what stands behind every arm. */
export async function startBackend(
  processes: Processes,
  directory: string,
  cores: string,
  random: () => number,
): Promise<Backend> {
  // Its worker drops to another user when this runs as root: that user must be able to read the bodies.
  chmodSync(directory, 0o755)
  writeFileSync(join(directory, '1k'), Buffer.alloc(1024, 'a'), { mode: 0o644 })
  writeFileSync(join(directory, '64k'), Buffer.alloc(64 * 1024, 'a'), { mode: 0o644 })
  writeFileSync(join(directory, '1m'), Buffer.alloc(1024 * 1024, 'b'), { mode: 0o644 })
  const port = await freePort(random)
  const name = `backend-${port}`
  const listen = backendHosts(mostBackends).map((host) => `listen ${host}:${port} backlog=4096;`)
  const values = { LISTEN: listen.join('\n    '), PORT: port, DIRECTORY: directory, NAME: name }
  const config = writeConfig('./backend.conf', values, join(directory, `${name}.conf`))
  const started = processes.start('backend', ['nginx', '-p', directory, '-e', 'stderr', '-c', config], {
    cores,
  })
  await waitUntilReady(started, `http://127.0.0.1:${port}/64`)
  const accepted = acceptedCounter(`http://127.0.0.1:${port}/-/status`, parseStubStatus)
  return { started, port, accepted }
}
