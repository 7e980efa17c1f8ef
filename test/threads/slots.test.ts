import { describe, expect, test } from 'vitest'
import { type FreedSlot, SlotPool } from '../../core/threads/slots.ts'

function committed(pool: SlotPool, revision: number, ...names: string[]): Map<string, number> {
  const plan = pool.plan(names)
  pool.commit(plan, revision)
  return new Map(plan.slots)
}

describe('SlotPool', () => {
  test('a name keeps its number while it stays', () => {
    const pool = new SlotPool(10)
    const first = committed(pool, 1, 'a', 'b')
    const second = committed(pool, 2, 'b', 'c')
    expect(second.get('b')).toBe(first.get('b'))
    expect(second.get('c')).not.toBe(first.get('a'))
  })

  test('a number is reused only after every thread is past the snapshot that had it', () => {
    const freed: FreedSlot[] = []
    const pool = new SlotPool(10, (slots) => void freed.push(...slots))
    const a = committed(pool, 1, 'a').get('a')
    committed(pool, 2)
    pool.release(1)
    expect(pool.waiting).toBe(1)
    expect(committed(pool, 3, 'b').get('b')).not.toBe(a)
    pool.release(2)
    expect(freed).toMatchObject([{ slot: a, name: 'a' }])
    expect(committed(pool, 4, 'b', 'c').get('c')).toBe(a)
  })

  test('a name that comes back while its old number waits gets another', () => {
    const pool = new SlotPool(10)
    const first = committed(pool, 1, 'a').get('a')
    committed(pool, 2)
    expect(committed(pool, 3, 'a').get('a')).not.toBe(first)
  })

  test('an abandoned plan gives its new numbers back and changes nothing', () => {
    const pool = new SlotPool(10)
    const before = committed(pool, 1, 'a')
    const plan = pool.plan(['a', 'b', 'c'])
    expect(pool.claimed('b')).toBe(true)
    pool.abandon(plan)
    expect(pool.claimed('b')).toBe(false)
    expect(pool.used).toBe(1)
    expect(pool.get('a')).toBe(before.get('a'))
  })

  test('says when it is full, and how much waits; takes nothing then', () => {
    const pool = new SlotPool(3)
    committed(pool, 1, 'a', 'b')
    committed(pool, 2, 'b')
    expect(() => pool.plan(['b', 'c', 'd'])).toThrow(/holds 3 entries; 1 of them wait/)
    expect(pool.used).toBe(2)
    pool.release(2)
    expect(committed(pool, 3, 'b', 'c', 'd').size).toBe(3)
  })
})
