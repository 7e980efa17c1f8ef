/** Nodes of a fleet with a real network between them: UDP and HTTP on 127.0.0.1, and a sync plugin made by the host. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import type { ConfigStore, ConfigSync, FleetNode, Members, RevisionRef } from 'millrace'
import { FleetNetwork } from '../../core/fleet/network.ts'
import { systemClock } from '../../core/host/clock.ts'
import { createInstance } from '../../core/host/instance.ts'
import { builtIn, type LoadedPlugin } from '../../core/host/registry.ts'
import { builtin } from '../plugins/make.ts'
import { release, type Scoped } from './cleanup.ts'

export const fleetKeys = ['a secret of the whole fleet']
const nothing = { add() {}, set() {} }

/** A port that is free for UDP and TCP. */
export async function freeNodePort(): Promise<number> {
  for (;;) {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const socket = createSocket('udp4')
    const isFree = await new Promise<boolean>((resolve) => {
      socket.once('error', () => resolve(false))
      socket.bind({ address: '127.0.0.1', port, exclusive: true }, () => resolve(true))
    })
    await new Promise<void>((resolve) => server.close(() => resolve()))
    if (!isFree) continue
    await new Promise<void>((resolve) => socket.close(() => resolve()))
    return port
  }
}

export interface FleetNodeOptions extends Scoped {
  readonly id: string
  readonly boot?: string
  /** Default: a new one. */
  readonly port?: number
  readonly fleet?: string
  readonly keys?: readonly string[]
  readonly documents?: readonly string[]
  readonly store?: ConfigStore
  /** The records; this node adds its own. */
  readonly roster?: Roster
  /** False: it does not. */
  readonly registers?: boolean
}

/** Records of nodes, as all of a test see them. */
export class Roster {
  #nodes: readonly FleetNode[] = []
  readonly #watchers = new Set<() => void>()

  set(nodes: readonly FleetNode[]): void {
    this.#nodes = nodes
    for (const watcher of [...this.#watchers]) watcher()
  }

  add(node: FleetNode): void {
    this.set([...this.#nodes.filter(({ id }) => id !== node.id), node])
  }

  members(self: FleetNode): Members {
    return {
      self,
      all: () => [...this.#nodes.filter(({ id }) => id !== self.id), self],
      watch: (changed) => {
        this.#watchers.add(changed)
        return { cancel: () => void this.#watchers.delete(changed) }
      },
    }
  }
}

export interface MadeNode {
  readonly self: FleetNode
  readonly sync: ConfigSync
  readonly hints: [document: string, revision: RevisionRef | undefined][]
  readonly states: ('up' | 'down')[]
  readonly warnings: string[]
  readonly drops: string[]
  /** As the host does it: the plugin says goodbye, then the sockets close. */
  stop(): Promise<void>
  /** The sockets close for good; the plugin goes on. */
  cut(): Promise<void>
  /** Without a word. */
  crash(): Promise<void>
}

/** @param use a built-in `config-sync` */
export async function makeNode(use: string, options: object, given: FleetNodeOptions): Promise<MadeNode> {
  const { id, boot = `boot-${id}-${Math.random()}`, keys = fleetKeys, fleet = 'default' } = given
  const address = `127.0.0.1:${given.port ?? (await freeNodePort())}`
  const self: FleetNode = { id, boot, role: 'lb', address, zone: '' }
  const [warnings, drops]: string[][] = [[], []]
  const warn = (message: string): void => void warnings.push(message)
  const log = { debug() {}, info() {}, warn, error: warn }
  const network = new FleetNetwork({
    ...{ fleet, self, keys, clock: systemClock, log },
    dropped: (reason) => void drops.push(reason),
  })
  const [hints, states]: [MadeNode['hints'], MadeNode['states']] = [[], []]
  const roster = given.roster ?? new Roster()
  const plugin = builtIn(builtin('config-sync', use) as never) as unknown as LoadedPlugin<'config-sync'>
  const made = await createInstance(plugin, 'config-sync', options, {
    ...{ id: 'sync', clock: systemClock, random: Math.random, log, fleet, fleetKeys: keys },
    metrics: { counter: () => nothing, gauge: () => nothing },
    documents: given.documents ?? [''],
    store: given.store,
    network: network.for(`config-sync ${use}`),
    members: roster.members(self),
    hint: (document, revision) => void hints.push([document, revision]),
    bus: (state) => void states.push(state),
  })
  const stop = async (): Promise<void> => {
    await made.stop()
    await network.close()
  }
  release(given, stop)
  await network.ready()
  if (given.registers !== false) roster.add(self)
  const cut = (): Promise<void> => network.close()
  const crash = async (): Promise<void> => {
    await cut()
    await made.stop()
  }
  return { self, sync: made.instance, hints, states, warnings, drops, stop, cut, crash }
}
