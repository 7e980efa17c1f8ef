/** The demo's backends: child processes, so that a user can kill one and see that nothing is lost. */
import { type ChildProcess, fork } from 'node:child_process'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

export interface DemoBackend {
  /** From 1. */
  readonly number: number
  readonly pid: number
  readonly url: string
}

export interface Demo {
  readonly backends: readonly DemoBackend[]
  /** Variables of demo.yaml. */
  readonly env: Readonly<Record<string, string>>
  stop(): Promise<void>
}

export const demoConfig = fileURLToPath(new URL('./demo.yaml', import.meta.url))

const backendCount = 3
const usualAdminPort = 9901

/** This file's own extension: `.ts` in a checkout, `.js` in the package. */
const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))

interface Started {
  readonly backend: DemoBackend
  readonly child: ChildProcess
}

function startBackend(number: number): Promise<Started> {
  const file = fileURLToPath(new URL(`./demo-backend${extension}`, import.meta.url))
  const child = fork(file, [String(number)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) =>
      reject(new Error(`demo backend ${number} ended at once, with status ${code}`)),
    )
    child.once('message', (port) => {
      child.removeAllListeners('exit')
      resolve({ backend: { number, pid: child.pid ?? 0, url: `http://127.0.0.1:${port}` }, child })
    })
  })
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => child.once('exit', () => resolve()))
}

/**
 * Starts the backends.
 * @param port of the proxy
 * @param lost called when a backend ends although nobody stopped the demo
 */
export async function startDemo(
  port: number,
  lost: (backend: DemoBackend, how: string) => void,
): Promise<Demo> {
  const numbers = Array.from({ length: backendCount }, (_, index) => index + 1)
  const started = await Promise.all(numbers.map(startBackend))
  let stopping = false
  for (const { backend, child } of started)
    child.once('exit', (code, signal) => {
      if (!stopping) lost(backend, signal ?? `status ${code}`)
    })
  const ports = started.map(({ backend }) => [`DEMO_BACKEND_${backend.number}`, new URL(backend.url).port])
  // The admin port is not what the demo is about: where it is taken, any other will do.
  const adminPort = (await isFree(usualAdminPort)) ? usualAdminPort : 0
  return {
    backends: started.map(({ backend }) => backend),
    env: { ...Object.fromEntries(ports), DEMO_PORT: String(port), DEMO_ADMIN_PORT: String(adminPort) },
    async stop() {
      stopping = true
      for (const { child } of started) child.kill('SIGTERM')
      await Promise.all(started.map(({ child }) => ended(child)))
    },
  }
}
