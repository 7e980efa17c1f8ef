import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { probeEnvironment } from '../stats/node-probe.ts'
import { processTree } from '../stats/process-tree.ts'

export interface StartOptions {
  /** CPU list for taskset: `0`, `1`, `0,1`. */
  readonly cores: string
  readonly cwd?: string
  /** A Node process that is talked to: see `channel`. */
  readonly ipc?: boolean
}

/** Messages to and from a process of ours, as JSON; it ends on both sides when either process does. */
export interface Channel {
  send(message: unknown): void
  /** Replaces the listener before. */
  listen(listener: (message: unknown) => void): void
}

/** A process that this run started and pinned; the only kind that it ever stops. */
export interface Started {
  readonly name: string
  readonly pid: number
  readonly exited: Promise<number | null>
  /** The last lines it wrote, for messages. */
  output(): string
  /** The file with all it wrote. */
  readonly log: string
  /** Only with `ipc`. */
  readonly channel: Channel | undefined
  /** Folder with the sockets of its probes (`probed`); undefined: it has none. */
  readonly probes: string | undefined
  /** SIGTERM, after five seconds SIGKILL to it and its children. */
  stop(): Promise<void>
}

/** Every process of a run, so that all of them are gone when it ends, however it ends. */
export class Processes {
  readonly #directory: string
  readonly #shared: { readonly running: Set<Started>; count: number }
  readonly #probes: string | undefined

  constructor(
    directory: string,
    shared: { readonly running: Set<Started>; count: number } = { running: new Set(), count: 0 },
    probes?: string,
  ) {
    this.#directory = directory
    this.#shared = shared
    this.#probes = probes
  }

  /** The same processes; a Node program that is started through this can be asked what its threads do. */
  probed(): Processes {
    const probes = join(this.#directory, 'probes')
    mkdirSync(probes, { recursive: true })
    return new Processes(this.#directory, this.#shared, probes)
  }

  /** The same processes, started without probes. */
  unprobed(): Processes {
    return new Processes(this.#directory, this.#shared)
  }

  start(name: string, command: readonly string[], options: StartOptions): Started {
    const log = join(this.#directory, `${++this.#shared.count}-${name}.log`)
    const file = openSync(log, 'w')
    // taskset replaces itself by the command: the pid is the command's.
    const child = spawn('taskset', ['-c', options.cores, ...command], {
      cwd: options.cwd ?? this.#directory,
      // taskset passes the open channel on, with the variable that names it.
      stdio: options.ipc ? ['ignore', file, file, 'ipc'] : ['ignore', file, file],
      env: { ...process.env, ...(this.#probes === undefined ? {} : probeEnvironment(this.#probes)) },
    })
    closeSync(file)
    if (child.pid === undefined)
      throw new Error(`${name}: cannot start ${command[0]} (is it and taskset installed?)`)
    const exited = new Promise<number | null>((resolve) => {
      child.once('exit', (code) => resolve(code))
      child.once('error', () => resolve(null))
    })
    const started: Started = {
      name,
      pid: child.pid,
      exited,
      log,
      probes: this.#probes,
      output: () => readFileSync(log, 'utf8').split('\n').slice(-15).join('\n').trim(),
      channel: options.ipc ? channelOf(child) : undefined,
      stop: () => stopTree(child, exited),
    }
    this.#shared.running.add(started)
    exited.then(() => this.#shared.running.delete(started))
    return started
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#shared.running].map((started) => started.stop()))
  }
}

function channelOf(child: ChildProcess): Channel {
  let current: (message: unknown) => void = () => {}
  child.on('message', (message) => current(message))
  return {
    // A process that has ended reads nothing: whoever waits for an answer learns that from `exited`.
    send: (message) => void child.send(message as object, () => {}),
    listen(listener) {
      current = listener
    },
  }
}

async function stopTree(child: ChildProcess, exited: Promise<number | null>): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const tree = processTree(child.pid)
  child.kill('SIGTERM')
  const timer = setTimeout(() => {
    for (const pid of tree) killQuietly(pid)
  }, 5_000)
  await exited
  clearTimeout(timer)
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself in the meantime: that is what was wanted.
  }
}
