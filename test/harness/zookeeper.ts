/** Real ZooKeeper servers on free ports, each in a directory of its own; ended with the test, pass or fail. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as later } from 'node:timers/promises'
import { release, type Scoped } from './cleanup.ts'
import { freePort } from './redis.ts'
import { type Relay, startRelay } from './relay.ts'

const tickMs = 500
const startLimitMs = 60_000

export interface ZookeeperServer {
  readonly port: number
  readonly url: string
  /** One of its four-letter words. */
  ask(word: string): Promise<string>
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>
  /** Starts it again, on the same port and directory. Resolves when it serves. */
  start(): Promise<void>
  /** SIGSTOP and SIGCONT. */
  pause(): void
  resume(): void
}

export interface Ensemble {
  readonly servers: readonly ZookeeperServer[]
  /** All servers. */
  readonly url: string
  leader(): Promise<ZookeeperServer>
  /** Cuts a server off from the others, in silence: no connection ends. Its clients still reach it. Needs `canBeCut`. */
  cut(server: ZookeeperServer): void
}

/** One server that stands alone. */
export async function startZookeeper(scope: Scoped = {}): Promise<ZookeeperServer> {
  const server = new Server(newDirectory(scope), scope)
  // Between finding a free port and taking it, another may have taken it.
  for (let tries = 3; ; tries--) {
    server.port = await freePort()
    try {
      await server.start()
      return server
    } catch (error) {
      if (tries === 0) throw error
    }
  }
}

/**
 * Three servers.
 * @param scope.canBeCut each reaches each other over a relay of its own; elections take longer then, as a relay seems to be there when a
 *   server is not
 */
export async function startEnsemble(scope: Scoped & { canBeCut?: boolean } = {}): Promise<Ensemble> {
  const directory = newDirectory(scope)
  const ids = [1, 2, 3]
  // Held until the relays have theirs, which are not to be among these.
  const { ports, letGo } = await holdPorts(3 * ids.length)
  const peers = ids.map((_, n) => ({
    client: ports[3 * n],
    quorum: ports[3 * n + 1],
    election: ports[3 * n + 2],
  }))
  /** From one to another. */
  const links: { readonly from: number; readonly to: number; readonly relays: readonly Relay[] }[] = []
  const servers: Server[] = []
  for (const id of ids) {
    const own = join(directory, String(id))
    mkdirSync(own)
    const lines: string[] = []
    for (const other of ids) {
      const { quorum, election } = peers[other - 1]
      if (other === id || !scope.canBeCut) {
        lines.push(`server.${other}=127.0.0.1:${quorum}:${election}`)
        continue
      }
      const relays = await Promise.all([startRelay(quorum, scope), startRelay(election, scope)])
      links.push({ from: id, to: other, relays })
      lines.push(`server.${other}=127.0.0.1:${relays[0].port}:${relays[1].port}`)
    }
    writeFileSync(join(own, 'myid'), `${id}\n`)
    const server = new Server(own, scope, lines)
    server.port = peers[id - 1].client
    servers.push(server)
  }
  await letGo()
  await Promise.all(servers.map((server) => server.start()))
  return {
    servers,
    url: `zookeeper://${servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    async leader() {
      for (;;) {
        for (const server of servers)
          if (/^Mode: leader$/m.test(await server.ask('srvr').catch(() => ''))) return server
        await later(20)
      }
    },
    cut(server) {
      const id = servers.indexOf(server as Server) + 1
      for (const { from, to, relays } of links)
        if (from === id || to === id) for (const relay of relays) relay.freeze()
    },
  }
}

/** Ports that nobody else listens on, so long. */
async function holdPorts(count: number): Promise<{ ports: number[]; letGo(): Promise<void> }> {
  const holders = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(holders.map((holder) => once(holder, 'listening')))
  return {
    ports: holders.map((holder) => (holder.address() as { port: number }).port),
    async letGo() {
      await Promise.all(holders.map((holder) => once(holder.close(), 'close')))
    },
  }
}

function newDirectory(scope: Scoped): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-zookeeper-'))
  release(scope, () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

class Server implements ZookeeperServer {
  port = 0
  readonly #directory: string
  readonly #peers: readonly string[]
  #child: ChildProcess | undefined
  #gone: Promise<void> = Promise.resolve()

  /** @param peers lines of its config */
  constructor(directory: string, scope: Scoped, peers: readonly string[] = []) {
    this.#directory = directory
    this.#peers = peers
    release(scope, () => this.kill())
  }

  get url(): string {
    return `zookeeper://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const file = join(this.#directory, 'zoo.cfg')
    writeFileSync(file, `${this.#config().join('\n')}\n`)
    const child = spawn('java', [...javaOptions, main, file], {
      cwd: this.#directory,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    let said = ''
    const hear = (chunk: Buffer): void => {
      said = (said + chunk).slice(-4000)
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    let over = false
    this.#gone = new Promise((resolve) => {
      const end = (): void => {
        over = true
        resolve()
      }
      child.once('close', end)
      child.once('error', end)
    })
    const deadline = performance.now() + startLimitMs
    while (!/^Mode: /m.test(await this.ask('srvr').catch(() => ''))) {
      if (over) throw new Error(`ZooKeeper ended: ${said}`)
      if (performance.now() > deadline) throw new Error(`ZooKeeper does not serve: ${said}`)
      await later(20)
    }
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

  ask(word: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1')
      // One that has just begun may take a connection and never look at it.
      socket.setTimeout(1000, () => socket.destroy(new Error('no answer')))
      let said = ''
      socket.on('connect', () => socket.write(word))
      socket.on('data', (chunk) => {
        said += chunk
      })
      socket.on('error', reject)
      socket.on('close', () => resolve(said))
    })
  }

  #config(): string[] {
    return [
      `tickTime=${tickMs}`,
      'initLimit=20',
      // A follower that is cut off goes on serving for ten seconds.
      'syncLimit=20',
      `dataDir=${this.#directory}`,
      `clientPort=${this.port}`,
      'clientPortAddress=127.0.0.1',
      'maxClientCnxns=0',
      'admin.enableServer=false',
      '4lw.commands.whitelist=*',
      ...this.#peers,
    ]
  }
}

const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
const javaOptions = [
  ...['-Xmx300m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Djava.net.preferIPv4Stack=true'],
  // What was written survives a killed process without it; only a machine that fails loses it.
  '-Dzookeeper.forceSync=no',
  '-Dzookeeper.root.logger=WARN,CONSOLE',
  // Who stands for election says so again after half a second, not after up to a minute.
  '-Dzookeeper.fastleader.maxNotificationInterval=500',
  // What Debian's own start script names; the jar names the others.
  ...['-cp', '/etc/zookeeper/conf:/usr/share/java/zookeeper.jar'],
]
