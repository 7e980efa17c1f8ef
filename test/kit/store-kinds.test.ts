/** Kinds that live from a config store: a sound plugin of each passes the kit, a broken one is caught. */
import { type ConfigStore, definePlugin, type FencingToken, type Lease, type Lock, z } from 'millrace'
import { FakeTime, type StoreFixture } from 'millrace/conformance'
import { describe, expect, test } from 'vitest'
import storeLock from '../../plugins/lock/store.ts'
import { MemoryClient, MemoryStore } from '../conformance/memory-store.ts'
import { verdicts } from './verdicts.ts'

const options = z.strictObject({})
type Broken = (store: ConfigStore) => Partial<ConfigStore>

/** The kit's own store as a plugin, with some methods broken, and its fixture. */
function memory(broken: Broken = () => ({})) {
  let stores = new Map<string, MemoryStore>()
  let time = new FakeTime()
  let clients: MemoryClient[] = []
  const plugin = definePlugin({
    api: 1,
    kind: 'config-store',
    name: 'simulated',
    options,
    create({ fleet, clock }) {
      const store = stores.get(fleet) ?? new MemoryStore(time)
      stores.set(fleet, store)
      const client = new MemoryClient(store, clock)
      clients.push(client)
      return Object.assign(client, broken(client))
    },
  })
  const fixture: StoreFixture = {
    faults: ['cut', 'lose-answer'],
    start() {
      stores = new Map()
      clients = []
      time = new FakeTime()
      const cut = (off: boolean) => () => {
        for (const client of clients) client.cut = off
        for (const store of stores.values())
          for (const { listener } of store.watchers) listener.bus(off ? 'down' : 'up')
      }
      const loseAnswer = (): void => {
        clients[0].losesAnswer = true
      }
      return { time, cut: cut(true), heal: cut(false), loseAnswer }
    },
  }
  return { plugin, fixture }
}

const judge = async (broken?: Broken) => {
  const { plugin, fixture } = memory(broken)
  return verdicts(plugin, { fixture })
}

describe('config store', () => {
  test('a sound one passes', async () => {
    const { failed, passed } = await judge()
    expect(failed).toEqual({})
    expect(passed.length).toBeGreaterThan(25)
  })

  const leaseOf = (change: (lease: Lease) => Partial<Lease>): Broken => {
    return (store) => {
      const take = store.lease.bind(store)
      return {
        async lease(...given) {
          const lease = await take(...given)
          return lease && { ...lease, ...change(lease) }
        },
      }
    }
  }
  const faults: [what: string, broken: Broken, caught: RegExp][] = [
    [
      'compares numbers only',
      (store) => {
        const put = store.put.bind(store)
        return {
          async put(document, value, expected, ...rest) {
            const head = (await store.history(document))[0]
            const same = head !== undefined && head.revision.number === expected?.number
            return put(document, value, same ? head.revision : expected, ...rest)
          },
        }
      },
      /compare-and-set/,
    ],
    [
      'takes a repeated write for a conflict',
      (store) => {
        const put = store.put.bind(store)
        const seen = new Set<string>()
        return {
          async put(document, value, expected, id, note) {
            if (seen.has(id)) return { status: 'conflict', head: (await store.history(document))[0] ?? null }
            seen.add(id)
            return put(document, value, expected, id, note)
          },
        }
      },
      /the same write again/,
    ],
    [
      'says that there is nothing when it cannot be asked',
      (store) => {
        const get = store.get.bind(store)
        return { get: (document, how) => get(document, how).catch(() => null) }
      },
      /never that there is nothing/,
    ],
    ['removes what is removed', () => ({ heads: async () => [] }), /tombstone/],
    [
      'counts validity from the answer, and for the whole time',
      leaseOf((lease) => ({ remainingMs: () => lease.ttlMs, valid: () => true })),
      /lapses/,
    ],
    [
      'gives the same token to every holder',
      leaseOf(({ token }) => ({ token: { ...token, number: 1 } })),
      /a token never falls/,
    ],
    ['forgets what was announced', () => ({ markAnnounced: async () => {} }), /the outbox/],
  ]
  test.each(faults)('one that %s is caught', async (_what, broken, caught) => {
    const { failed } = await judge(broken)
    expect(Object.keys(failed).join('\n')).toMatch(caught)
  })
})

type LockFault = 'token' | 'validity' | 'release' | 'names' | 'waiting'

/** The built-in on the store's leases, with something broken about it. */
function lockPlugin(fault?: LockFault) {
  return definePlugin({
    api: 1,
    kind: 'lock',
    name: 'store',
    options,
    async create(context) {
      const sound = await storeLock.create(context, {})
      const broken = (lock: Lock): Lock => ({
        name: lock.name,
        token: fault === 'token' ? { ...lock.token, number: 7 } : lock.token,
        valid: () => fault === 'validity' || lock.valid(),
        remainingMs: () => lock.remainingMs(),
        lost: lock.lost,
        release: async () => {
          if (fault !== 'release') await lock.release()
        },
      })
      return {
        async acquire(name, given) {
          const lock = await sound.acquire(
            fault === 'names' ? `n${name.replaceAll(/[^a-z]/g, '')}`.slice(0, 100) : name,
            fault === 'waiting' ? { ...given, signal: undefined } : given,
          )
          return lock && broken(lock)
        },
      }
    },
  })
}

describe('lock', () => {
  test('a sound one passes', async () => {
    const { failed, passed } = await verdicts(lockPlugin())
    expect(failed).toEqual({})
    expect(passed.length).toBeGreaterThan(13)
  })

  test.each([
    ['token', 'tokens strictly increase from holder to holder'],
    ['validity', 'a holder that is cut off has lost it before another gets it, and is told'],
    ['release', 'one holds it, the other does not; released, it is the other’s'],
    ['names', 'refuses names and times that are not allowed, before anything is held'],
    ['waiting', 'waits for it as long as it is told, and not after it was called off'],
  ] as const)('one with a broken %s is caught', async (fault, name) => {
    expect(Object.keys((await verdicts(lockPlugin(fault))).failed)).toContain(name)
  })
})

/** A leader by the store's lease. */
function electionPlugin(fault?: 'term' | 'clings' | 'silent') {
  return definePlugin({
    api: 1,
    kind: 'election',
    name: 'store',
    options,
    create(context) {
      let campaigning = false
      let lease: Lease | undefined
      let leads: { term: FencingToken; valid(): boolean; remainingMs(): number } | undefined
      let busy = false
      let round = 0
      const depose = (reason: string): void => {
        const former = leads
        lease = fault === 'clings' ? lease : undefined
        leads = undefined
        if (former && fault !== 'silent') context.deposed(former, reason)
      }
      const lead = (won: Lease): void => {
        lease = won
        const mine = won
        let resigned = false
        const valid = (): boolean => fault === 'clings' || (!resigned && lease === mine && mine.valid())
        leads = {
          term: fault === 'term' ? { ...won.token, number: 1 } : won.token,
          valid: () => {
            resigned ||= !valid()
            return valid()
          },
          remainingMs: () => (valid() ? mine.remainingMs() : 0),
        }
        context.elected(leads)
      }
      const step = async (): Promise<void> => {
        if (lease && !lease.valid()) depose('lease lost')
        if (busy || !context.store) return
        busy = true
        try {
          if (lease) await lease.renew()
          else if (campaigning) {
            const won = await context.store.lease('leader', `${context.candidate}/${++round}`, context.ttlMs)
            if (won && campaigning) lead(won)
            else await won?.release()
          }
          const [known] = await context.store.leases('leader')
          context.leader(
            known && { candidate: known.holder.split('/').slice(0, 2).join('/'), term: known.token },
          )
        } catch {
          // The store cannot be asked: the lease says how long that is no matter.
        } finally {
          busy = false
        }
      }
      context.clock.every(context.ttlMs / 6, () => void step())
      const resign = async (): Promise<void> => {
        campaigning = false
        const former = lease
        const releasing = former?.release()
        if (leads) depose('resigned')
        await releasing
      }
      context.defer(resign)
      return {
        campaign() {
          campaigning = true
        },
        resign,
      }
    },
  })
}

describe('election', () => {
  test('a sound one passes', { timeout: 60_000 }, async () => {
    const { failed, passed } = await verdicts(electionPlugin())
    expect(failed).toEqual({})
    expect(passed.length).toBeGreaterThan(14)
  })

  test.each([
    ['term', /terms strictly increase/],
    ['clings', /lead at the same time|deposed while|leads/],
    ['silent', /elected,elected|was not told|Expected values/],
  ] as const)('one with the fault "%s" is caught', { timeout: 60_000 }, async (fault, message) => {
    const { failed } = await verdicts(electionPlugin(fault))
    expect(Object.values(failed).join('\n')).toMatch(message)
  })
})
