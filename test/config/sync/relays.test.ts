/** Several relays on a simulated store: who of them works. */
import { describe, expect, test } from 'vitest'
import { Fleet } from './relay-fleet.ts'

describe('of two', () => {
  test('one works, and the other takes over when it is cut off: never both', async () => {
    const fleet = new Fleet()
    const both = [await fleet.relay('a')]
    await fleet.pass(1000)
    both.push(await fleet.relay('bb'))
    const valid = (): number => both.filter(({ locks }) => locks.some((lock) => lock.valid())).length
    for (let round = 0; round < 5; round++) {
      await fleet.put('config')
      await fleet.pass(2000)
      expect(valid()).toBe(1)
    }
    expect(fleet.announced.map(({ by }) => by)).toEqual(['a', 'a', 'a', 'a', 'a'])
    both[0].store.cut = true
    await fleet.put('config')
    for (let waited = 0; waited < 10_000 && fleet.announced.length < 6; waited += 50) {
      await fleet.pass(50)
      expect(valid()).toBeLessThan(2)
    }
    expect(fleet.announced.at(-1)).toEqual({ by: 'bb', document: 'config', number: 6 })
    expect(both.map(({ relay }) => relay.state.working)).toEqual([false, true])
    expect(both[0].lines.at(-1)).toMatch(/announces no more/)
    both[0].store.cut = false
    await fleet.put('config')
    await fleet.pass(10_000)
    expect(fleet.announced.at(-1)?.by).toBe('bb')
    expect(both[0].relay.state.working).toBe(false)
  })

  test('one that is stopped gives the work to the other at its next try', async () => {
    const fleet = new Fleet()
    const first = await fleet.relay('a')
    await fleet.pass(500)
    await fleet.relay('bb')
    const stopping = first.relay.stop()
    await fleet.pass(4000)
    await stopping
    await fleet.put('config')
    await fleet.pass(500)
    expect(fleet.announced).toEqual([{ by: 'bb', document: 'config', number: 1 }])
  })

  test('standing by costs one call of the store every three seconds', async () => {
    const fleet = new Fleet()
    await fleet.relay('a')
    await fleet.pass(500)
    const { store } = await fleet.relay('bb')
    let calls = 0
    const lease = store.lease.bind(store)
    store.lease = (...given) => {
      calls++
      return lease(...given)
    }
    store.unannounced = async () => {
      throw new Error('who stands by does not look')
    }
    await fleet.pass(60_000)
    expect(calls).toBeGreaterThanOrEqual(15)
    expect(calls).toBeLessThanOrEqual(27)
  })
})
