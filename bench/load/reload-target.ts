import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export interface ReloadTarget extends AsyncDisposable {
  readonly pid: number
  readonly port: number
  /** Reloads that were refused, as the log says. */
  readonly refused: readonly string[]
  /** Threads that were replaced because they had loaded much code. */
  readonly replaced: number
  /** Another config with that version of the code; settles when it is served. */
  reload(number: number, version: number): Promise<void>
  /** True for a version that was written at some time. */
  knows(stamp: string): boolean
  /** Of the config that is served. */
  revision(): Promise<number>
  /** What the process printed on standard output: its collections. */
  log(): Promise<string>
}

const bin = fileURLToPath(new URL('../../cli/bin.js', import.meta.url))
const longestMs = 30_000

const plugin = (version: number): string => `import { definePlugin, z } from 'millrace'
import { label } from './label.ts'
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'stamp',
  options: z.strictObject({ share: z.number().default(${version}), names: z.array(z.string()).optional() }),
  create(context) {
    const seen = new Int32Array(context.shared('seen', 8).buffer)
    context.clock.every(1000, () => void seen.length)
    return { onResponse(exchange) { exchange.response?.headers.set('x-stamp', label) } }
  },
})
`

/** Backends, a folder with a config and a plugin of two files, and a `millrace lb` that runs them. */
export async function startReloadTarget(threads: number): Promise<ReloadTarget> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-reloads-'))
  const backends = await Promise.all([1, 2, 3].map(startBackend))
  const [port, adminPort] = await freePorts(2)
  const known = new Set<string>()
  /** Written beside and renamed: nobody reads half a file. */
  const write = (name: string, text: string): void => {
    writeFileSync(join(directory, `${name}.new`), text)
    renameSync(join(directory, `${name}.new`), join(directory, name))
  }
  const change = (number: number, version: number): void => {
    known.add(`v${version}`)
    const shown = number % 3 === 0 ? backends.slice(0, 2) : backends
    const config = configOf(number, shown, { threads, port, adminPort })
    write('label.ts', `export const label: string = 'v${version}'\n`)
    write('stamp.ts', plugin(version))
    write('millrace.json', JSON.stringify(config))
  }
  change(0, 0)
  // Each collection is a full one: what is left after it is alive, not garbage that nobody was in a hurry to find.
  const child = spawn(
    process.execPath,
    ['--trace-gc', '--gc-global', bin, 'lb', '-c', join(directory, 'millrace.json')],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const seen = follow(child)
  const services = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${adminPort}/v1/services`)).text()
  await until('the process serves', child, () => seen.messages.some((text) => text === 'listening'))
  return {
    pid: child.pid!,
    port,
    refused: seen.refused,
    get replaced() {
      return seen.messages.filter((text) => text.includes('is replaced by a fresh one')).length
    },
    async reload(number, version) {
      change(number, version)
      child.kill('SIGHUP')
      const served = async (): Promise<boolean> => (await services()).includes(`"n${number}"`)
      await until(`reload ${number} is served`, child, served)
    },
    knows: (stamp) => known.has(stamp),
    revision: async () => (JSON.parse(await services()) as { revision: number }).revision,
    log: async () => seen.output.join(''),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      const killed = setTimeout(() => child.kill('SIGKILL'), 15_000)
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      clearTimeout(killed)
      for (const { close } of backends) close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

interface Places {
  readonly threads: number
  readonly port: number
  readonly adminPort: number
}

/** Each number has other weights, and says which it is. */
function configOf(number: number, shown: readonly { url: string }[], { threads, port, adminPort }: Places) {
  return {
    node: { threads, data: './data' },
    admin: { address: `127.0.0.1:${adminPort}` },
    plugins: ['./stamp.ts'],
    drain: { delay: '0s', timeout: '10s' },
    listeners: { web: { address: `127.0.0.1:${port}` } },
    routes: [{ service: 'app' }],
    services: {
      app: {
        algorithm: 'weighted-round-robin',
        filters: ['stamp'],
        backends: shown.map(({ url }, i) => ({
          url,
          weight: ((number + i) % 7) + 1,
          tags: [`n${number}`],
        })),
      },
    },
  }
}

interface Seen {
  readonly messages: string[]
  readonly refused: string[]
  readonly output: string[]
}

function follow(child: ChildProcess): Seen {
  const seen: Seen = { messages: [], refused: [], output: [] }
  child.stdout!.setEncoding('utf8').on('data', (text: string) => seen.output.push(text))
  let rest = ''
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    for (const line of lines) note(seen, line)
  })
  return seen
}

function note(seen: Seen, line: string): void {
  let message = line
  try {
    message = String((JSON.parse(line) as { msg?: unknown }).msg)
  } catch {
    // What is no JSON was written by Node itself.
  }
  if (/^reload: (?:refused|the config is wrong)/.test(message)) seen.refused.push(message)
  else if (!message.startsWith('reload: ') && message !== 'config applied') seen.messages.push(message)
}

async function startBackend(): Promise<{ url: string; close(): void }> {
  const server = createServer((incoming, answer) => {
    let bytes = 0
    incoming.on('data', (chunk: Buffer) => (bytes += chunk.length))
    incoming.on('end', () => answer.end(`got ${bytes}`))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Free a moment ago: a config that is reloaded cannot say 0 twice for the same listener. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

async function until(
  what: string,
  child: ChildProcess,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  for (const from = performance.now(); !(await condition()); ) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`The process ended before ${what}`)
    if (performance.now() - from > longestMs) throw new Error(`Waited ${longestMs} ms until ${what}`)
    await delay(2)
  }
}
