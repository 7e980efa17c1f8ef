/**
 * Redis under three Sentinels, as the ground of a fault schedule. Master and replica are reached over relays alone, by the Sentinels
 * too, so that each can be cut off from everybody. The master fails once in each schedule: killed, stopped or cut off; where the
 * replica was cut off from it before, what it has acknowledged since is lost. And one Sentinel is killed or stopped.
 */
import { setTimeout as later } from 'node:timers/promises'
import type { RedisServer } from '../harness/redis.ts'
import { replicated, replicationField, settled } from '../harness/redis-replication.ts'
import { type SentinelSetup, startSentinels } from '../harness/redis-sentinel.ts'
import type { Backing, Topology } from './real-fleet.ts'

type Fault = 'killed' | 'stopped' | 'cut off'
/** Elections may be split, and are tried again. */
const longestMs = 60_000
const pauseMs = 20

export async function sentinelBacking(): Promise<Backing> {
  const setup = await startSentinels({ aof: true, relayed: true, failoverTimeoutMs: 2000 })
  const { sentinels, name } = setup
  const storeOptions = () => ({ sentinels, name, timeout: '500ms' })
  return {
    ...{ store: 'redis', sync: 'redis', server: undefined, storeOptions, forkHoldMs: 1000 },
    syncOptions: () => ({ ...storeOptions(), heartbeat: '200ms' }),
    topology: new Sentinels(setup),
  }
}

class Sentinels implements Topology {
  readonly #setup: SentinelSetup
  #master: Fault | undefined
  #watcher: { readonly server: RedisServer; readonly fault: Fault } | undefined

  constructor(setup: SentinelSetup) {
    this.#setup = setup
  }

  async trouble(random: () => number, write: () => Promise<void>): Promise<boolean> {
    const left = [
      ...(this.#master === undefined ? [() => this.#fail(random, write)] : []),
      ...(this.#watcher === undefined ? [() => this.#failWatcher(random)] : []),
    ]
    if (left.length === 0) return false
    await left[Math.floor(random() * left.length)]()
    return true
  }

  async heal(random: () => number, write: () => Promise<void>): Promise<void> {
    if (this.#master === undefined) await this.#fail(random, write)
    const { server, fault } = this.#watcher ?? {}
    if (fault === 'killed') await server?.start()
    if (fault === 'stopped') server?.resume()
    // The old master is back last: nobody may be sent to it any more.
    for (const watcher of this.#setup.watchers) await this.#names(watcher, this.#setup.relays[1].port)
    await this.#rejoin()
  }

  async #fail(random: () => number, write: () => Promise<void>): Promise<void> {
    const { master, replicas, relays } = this.#setup
    if (random() < 0.6) {
      await replicated(master, replicas[0])
      await this.#setup.cutReplicas()
      for (let count = 0; count < 2; count++) {
        await write()
        await later(random() * 120)
      }
    }
    this.#master = pick(random, ['killed', 'stopped', 'cut off'])
    if (this.#master === 'killed') await master.kill()
    if (this.#master === 'stopped') master.pause()
    if (this.#master === 'cut off') relays[0].cut()
  }

  async #failWatcher(random: () => number): Promise<void> {
    const server = pick(random, this.#setup.watchers)
    const fault = pick(random, ['killed', 'stopped'] as const)
    this.#watcher = { server, fault }
    if (fault === 'killed') await server.kill()
    else server.pause()
  }

  async #names(watcher: RedisServer, port: number): Promise<void> {
    await settled(async () => {
      await later(pauseMs)
      const found = await watcher.command('sentinel', 'get-master-addr-by-name', this.#setup.name)
      return Number((found as string[])[1]) === port
    }, longestMs)
    await settled(async () => (await replicationField(this.#setup.replicas[0], 'role')) === 'master')
  }

  /** As the Sentinels would have it some seconds later: a replica of the new master. */
  async #rejoin(): Promise<void> {
    const { master, relays } = this.#setup
    relays[0].cut()
    if (this.#master === 'killed') await master.start()
    if (this.#master === 'stopped') master.resume()
    await master.command('replicaof', '127.0.0.1', relays[1].port)
    relays[0].heal()
  }
}

function pick<T>(random: () => number, list: readonly T[]): T {
  return list[Math.floor(random() * list.length)]
}
