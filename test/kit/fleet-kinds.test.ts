/** `config-sync` and `failure-detector`, which have no built-in yet: a sound one passes the kit, a broken one is caught. */
import { definePlugin, type RevisionRef, z } from 'millrace'
import { FakeTime, type SyncFixture } from 'millrace/conformance'
import { describe, expect, test } from 'vitest'
import { verdicts } from './verdicts.ts'

const options = z.strictObject({})

interface Message {
  readonly document?: string
  readonly revision?: RevisionRef
}

/** A bus that delivers after 5 ms, with a heartbeat each second, and faults that are chosen. */
class Bus {
  readonly time = new FakeTime()
  readonly subscribers = new Set<(message: Message) => void>()
  cut = false
  fault: 'none' | 'lose' | 'double' | 'reorder' = 'none'
  #sent = 0

  constructor() {
    this.time.clock().every(1000, () => this.send({}))
  }

  send(message: Message): void {
    const at = ++this.#sent
    if (this.cut) return
    if (this.fault === 'lose' && message.document !== undefined && at % 2 === 0) return
    const delayMs = this.fault === 'reorder' && at % 2 === 0 ? 150 : 5
    for (let copies = this.fault === 'double' ? 2 : 1; copies > 0; copies--)
      this.time.clock().after(delayMs, () => {
        if (!this.cut) for (const receive of [...this.subscribers]) receive(message)
      })
  }
}

type SyncFault = 'deaf' | 'lying' | 'chatty' | 'after-stop'

function syncOn(fault?: SyncFault) {
  let bus = new Bus()
  const plugin = definePlugin({
    api: 1,
    kind: 'config-sync',
    name: 'bus',
    options,
    create(context) {
      const mine = bus
      let heard = context.clock.now()
      let up = false
      const state = (now: boolean): void => {
        if (now !== up) context.bus(now ? 'up' : 'down')
        up = now
      }
      const receive = ({ document, revision }: Message): void => {
        heard = context.clock.now()
        state(true)
        if (document !== undefined && fault !== 'deaf') context.hint(document, revision)
        else if (fault === 'chatty') context.hint('config')
      }
      mine.subscribers.add(receive)
      if (fault !== 'after-stop') context.defer(() => void mine.subscribers.delete(receive))
      context.clock.every(500, () => {
        if (fault !== 'lying' && context.clock.now() - heard > 3000) state(false)
      })
      return {
        async announce(document, revision) {
          if (mine.cut) throw new Error('the bus is cut')
          mine.send({ document, revision })
        },
      }
    },
  })
  const fixture: SyncFixture = {
    hints: true,
    faults: ['cut', 'lose', 'double', 'reorder'],
    start() {
      bus = new Bus()
      const mine = bus
      const cut = (off: boolean) => () => {
        mine.cut = off
      }
      const choose = (next: Bus['fault']): void => {
        mine.fault = next
      }
      return { time: mine.time, cut: cut(true), heal: cut(false), fault: choose }
    },
  }
  return verdicts(plugin, { fixture })
}

describe('config sync', () => {
  test('a sound one passes', async () => {
    const { failed, passed } = await syncOn()
    expect(failed).toEqual({})
    expect(passed.length).toBeGreaterThan(15)
  })

  test.each([
    ['deaf', /hinted at/],
    ['lying', /a bus that is cut/],
    ['chatty', /nothing changes/],
    ['after-stop', /after it was stopped/],
  ] as const)('one that is %s is caught', async (fault, caught) => {
    const { failed } = await syncOn(fault)
    expect(Object.keys(failed).join('\n')).toMatch(caught)
  })

  test('one without a bus, as polling is, passes without it', async () => {
    const poll = definePlugin({ api: 1, kind: 'config-sync', name: 'poll', options, create: () => ({}) })
    expect((await verdicts(poll, { fixture: { hints: false } })).failed).toEqual({})
    expect(Object.keys((await verdicts(poll)).failed).length).toBeGreaterThan(0)
  })
})

/** Dead after ten seconds of silence, suspect after five. */
function detector(fault?: 'stalls' | 'clings' | 'hasty') {
  return definePlugin({
    api: 1,
    kind: 'failure-detector',
    name: 'silence',
    options,
    create(context) {
      const watched = new Map<string, { boot: string; at: number; was: string }>()
      let ticked = context.clock.now()
      const opinion = (id: string) => {
        const node = watched.get(id)
        if (!node) return undefined
        const silent = id === context.members.self.id ? 0 : context.clock.now() - node.at
        const limit = fault === 'hasty' ? 900 : 10_000
        const liveness =
          silent > limit ? ('dead' as const) : silent > limit / 2 ? ('suspect' as const) : ('alive' as const)
        return { liveness, suspicion: silent / limit, reason: `silent for ${silent} ms` }
      }
      context.clock.every(1000, () => {
        const stalled = context.clock.now() - ticked - 1000
        ticked = context.clock.now()
        if (stalled > 1000 && fault !== 'stalls') for (const node of watched.values()) node.at += stalled
        for (const [id, node] of watched) {
          const now = opinion(id)
          if (!now || now.liveness === node.was) continue
          node.was = now.liveness
          context.changed(id, now)
        }
      })
      return {
        update(nodes) {
          const ids = new Set(nodes.map(({ id }) => id))
          for (const id of watched.keys()) if (!ids.has(id)) watched.delete(id)
          for (const { id, boot } of nodes) {
            if (watched.get(id)?.boot !== boot)
              watched.set(id, { boot, at: context.clock.now(), was: 'alive' })
          }
        },
        heard(id, boot) {
          const node = watched.get(id)
          if (!node || node.boot !== boot || (fault === 'clings' && node.was === 'dead')) return
          node.at = context.clock.now()
        },
        opinion,
      }
    },
  })
}

describe('failure detector', () => {
  test('a sound one passes', async () => {
    const { failed, passed } = await verdicts(detector())
    expect(failed).toEqual({})
    expect(passed.length).toBeGreaterThan(10)
  })

  test.each([
    ['stalls', /its own stall/],
    ['clings', /heard again/],
    ['hasty', /stay alive/],
  ] as const)('one with the fault "%s" is caught', async (fault, caught) => {
    expect(Object.keys((await verdicts(detector(fault))).failed).join('\n')).toMatch(caught)
  })
})
