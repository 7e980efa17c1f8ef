/** A real redis-server on a free port, in a directory of its own; ended with the test, pass or fail. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { release, type Scoped } from './cleanup.ts'
import { within } from './until.ts'

export interface RedisSettings extends Scoped {
  /** Append-only file, written before each answer. Default false: a restart begins empty. */
  readonly aof?: boolean
  readonly password?: string
  /** On this machine. */
  readonly replicaOf?: { readonly port: number }
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string }
  /** Further lines of its config, as arguments: `['--maxmemory', '10mb']`. */
  readonly more?: readonly string[]
  /** Runs as a Sentinel with this config file instead. */
  readonly sentinel?: string
}

export interface RedisServer {
  readonly port: number
  readonly url: string
  /** Sends one command, over a connection of its own. */
  command(...words: [string, ...(string | number)[]]): Promise<unknown>
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>
  /** Starts it again, on the same port and directory. Resolves when it accepts connections. */
  start(): Promise<void>
  /** SIGSTOP and SIGCONT. */
  pause(): void
  resume(): void
}

export async function startRedis(settings: RedisSettings = {}): Promise<RedisServer> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-redis-'))
  const server = new Server(directory, settings)
  release(settings, async () => {
    await server.kill()
    rmSync(directory, { recursive: true, force: true })
  })
  // Between finding a free port and taking it, another may have taken it.
  for (let tries = 5; ; tries--) {
    server.port = await freePort()
    try {
      await server.start()
      return server
    } catch (error) {
      if (tries === 0) throw error
    }
  }
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

class Server implements RedisServer {
  port = 0
  readonly #directory: string
  readonly #settings: RedisSettings
  #child: ChildProcess | undefined
  #gone: Promise<void> = Promise.resolve()

  constructor(directory: string, settings: RedisSettings) {
    this.#directory = directory
    this.#settings = settings
  }

  get url(): string {
    return `${this.#settings.tls ? 'rediss' : 'redis'}://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const child = spawn('redis-server', this.#arguments(), { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    let said = ''
    this.#gone = new Promise((resolve) => {
      child.once('close', () => resolve())
      child.once('error', () => resolve())
    })
    const ready = new Promise<void>((resolve, reject) => {
      const hear = (chunk: Buffer): void => {
        said += chunk
        if (/eady to accept connections|\+monitor/.test(said)) resolve()
      }
      child.stdout.on('data', hear)
      child.stderr.on('data', hear)
      child.once('error', reject)
      void this.#gone.then(() => reject(new Error(`redis-server ended: ${said}`)))
    })
    await within('redis-server to accept connections', ready)
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#gone
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  async command(...[name, ...words]: [string, ...(string | number)[]]): Promise<unknown> {
    const { password, tls } = this.#settings
    const client = new Redis({
      host: '127.0.0.1',
      port: this.port,
      password,
      tls: tls && { rejectUnauthorized: false },
      protocol: 2,
      disableClientInfo: true,
      enableReadyCheck: false,
      retryStrategy: null,
    })
    client.on('error', () => {})
    try {
      return await client.call(name, ...words)
    } finally {
      client.disconnect()
    }
  }

  #arguments(): string[] {
    const { aof, password, replicaOf, tls, more = [], sentinel } = this.#settings
    const listen = tls
      ? [
          '--port',
          '0',
          '--tls-port',
          `${this.port}`,
          '--tls-auth-clients',
          'no',
          '--tls-ca-cert-file',
          tls.ca,
        ]
      : ['--port', `${this.port}`]
    return [
      ...(sentinel === undefined ? [] : [sentinel, '--sentinel']),
      ...listen,
      ...(tls ? ['--tls-cert-file', tls.cert, '--tls-key-file', tls.key] : []),
      ...['--bind', '127.0.0.1', '--dir', this.#directory],
      ...(sentinel === undefined
        ? [
            '--save',
            '',
            '--appendonly',
            aof ? 'yes' : 'no',
            '--appendfsync',
            'always',
            '--repl-diskless-sync-delay',
            '0',
          ]
        : []),
      ...(password === undefined ? [] : ['--requirepass', password, '--masterauth', password]),
      ...(replicaOf ? ['--replicaof', '127.0.0.1', `${replicaOf.port}`] : []),
      ...more,
    ]
  }
}
