/** The least of a backend: it answers everything with one word, by which a test sees who has answered. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { release, type Scoped } from './cleanup.ts'

/** @returns its URL */
export async function wordBackend(word: string, scope: Scoped = {}): Promise<string> {
  const server = createServer((_request, response) => void response.end(word))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  release(scope, () => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
