/** Runs an example with backends of the test. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { startCli } from '../cli/run-cli.ts'

/** A backend that says a word; it can be stopped and started again on its port. */
export async function startBackend(word: string) {
  const server = http.createServer((_request, response) => response.end(word))
  let port = 0
  const start = async (): Promise<void> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  }
  const stop = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  await start()
  onTestFinished(stop)
  return { port, start, stop }
}

/** `millrace up -c examples/<name>/millrace.yaml` with the ports in its variables. */
export async function startExample(name: string, ports: Readonly<Record<string, number>>) {
  const file = path.resolve(import.meta.dirname, '../../examples', name, 'millrace.yaml')
  const env = Object.fromEntries(Object.entries(ports).map(([key, port]) => [key, String(port)]))
  const running = startCli(['up', '-c', file], { env: { PORT: '0', ADMIN_PORT: '0', ...env } })
  const [, url] = await running.waitFor(/web +(http:\S+)/)
  return { running, url }
}

export async function textOf(url: string, headers: Record<string, string> = {}): Promise<string> {
  return await (await fetch(url, { headers })).text()
}
