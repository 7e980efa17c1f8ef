/** The real servers of a run, on free ports of loopback; each can be killed and started again on what it had written. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as later } from 'node:timers/promises'
import type { Processes, Started } from '../arms/processes.ts'
import { freePort } from '../arms/ready.ts'

export const storeKinds = ['sqlite', 'redis', 'zookeeper'] as const
export type StoreKind = (typeof storeKinds)[number]

export interface Server {
  readonly port: number
  /** SIGKILL, then the same again on the same port. Resolves when it answers. */
  restart(): Promise<void>
  stop(): Promise<void>
}

interface Recipe {
  readonly name: string
  readonly command: readonly string[]
  /** What is sent to ask whether it is there, and what the answer begins with. */
  readonly ask: string
  readonly answer: string
}

const startMs = 30_000
const askAgainMs = 50

const zookeeperJars = '/usr/share/java/*'
const zookeeperConfig = '/etc/zookeeper/conf'

/** undefined: it can be started here. */
export function missing(kind: StoreKind): string | undefined {
  if (kind === 'redis' && !onPath('redis-server')) return 'redis-server is not installed'
  if (kind !== 'zookeeper') return undefined
  if (!onPath('java')) return 'java is not installed (Debian: default-jre-headless)'
  if (!existsSync('/usr/share/java/zookeeper.jar')) return 'zookeeper is not installed (Debian: zookeeper)'
  return undefined
}

export interface ServerHost {
  readonly processes: Processes
  /** Where it keeps its files. */
  readonly directory: string
  random(): number
}

export async function startServer(
  kind: Exclude<StoreKind, 'sqlite'>,
  { processes, directory, random }: ServerHost,
): Promise<Server> {
  const port = await freePort(random)
  const data = join(directory, `${kind}-${port}`)
  mkdirSync(data, { recursive: true })
  const recipe = kind === 'redis' ? redis(port, data) : zookeeper(port, data)
  let running = await start(recipe, processes, port)
  return {
    port,
    async restart() {
      process.kill(running.pid, 'SIGKILL')
      await running.exited
      running = await start(recipe, processes, port)
    },
    stop: () => running.stop(),
  }
}

function redis(port: number, data: string): Recipe {
  const command = ['redis-server', '--port', String(port), '--bind', '127.0.0.1', '--dir', data]
  const durable = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always']
  return { name: 'redis', command: [...command, ...durable], ask: 'PING\r\n', answer: '+PONG' }
}

function zookeeper(port: number, data: string): Recipe {
  const file = join(data, 'zoo.cfg')
  const lines = [
    ...['tickTime=500', `dataDir=${data}`, `clientPort=${port}`, 'clientPortAddress=127.0.0.1'],
    ...['maxClientCnxns=0', 'admin.enableServer=false', '4lw.commands.whitelist=srvr'],
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
  const command = ['java', '-Xmx256m', '-cp', `${zookeeperConfig}:${zookeeperJars}`, main, file]
  return { name: 'zookeeper', command, ask: 'srvr', answer: 'Zookeeper version' }
}

async function start(recipe: Recipe, processes: Processes, port: number): Promise<Started> {
  const { name, command, ask, answer } = recipe
  const started = processes.start(name, command, { cores: '0,1' })
  let ended = false
  void started.exited.then(() => {
    ended = true
  })
  for (let waited = 0; waited < startMs; waited += askAgainMs) {
    if ((await asked(port, ask)).startsWith(answer)) return started
    if (ended) throw new Error(`${name} ended at its start: ${started.output()}`)
    await later(askAgainMs)
  }
  await started.stop()
  throw new Error(`${name} did not answer within ${startMs / 1000} s: ${started.output()}`)
}

/** The first answer, or nothing. */
function asked(port: number, question: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(question))
    const settle = (answer: string): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1000, () => settle(''))
    socket.once('data', (chunk) => settle(chunk.toString('latin1')))
    socket.once('error', () => settle(''))
    socket.once('close', () => settle(''))
  })
}

function onPath(program: string): boolean {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.some((folder) => existsSync(join(folder, program)))
}
