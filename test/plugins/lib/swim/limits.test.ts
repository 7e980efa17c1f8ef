/** What others say fills no memory: without a key every process of the machine may say what it likes. */
import { expect, test } from 'vitest'
import { Agenda } from '../../../../plugins/lib/swim/agenda.ts'
import { Broadcasts, mostItems } from '../../../../plugins/lib/swim/broadcasts.ts'
import { Prober } from '../../../../plugins/lib/swim/prober.ts'
import { swimSettings } from '../../../../plugins/lib/swim/settings.ts'
import { MemberTable, mostMembers } from '../../../../plugins/lib/swim/table.ts'
import type { Claim, Packet } from '../../../../plugins/lib/swim/wire.ts'
import { seeded } from '../../../conformance/time.ts'

const claimOf = (id: string, state: Claim['state'] = 'alive'): Claim => ({
  ...{ state, id, incarnation: 1, boot: `boot-${id}`, address: `${id}:9903` },
})

test('so many members are known and no more; whoever is gone for longest makes room', () => {
  const table = new MemberTable(seeded(1))
  for (let n = 0; n < mostMembers; n++) table.merge(claimOf(`n${n}`), n)
  expect(table.merge(claimOf('late'), mostMembers)).toBeUndefined()
  expect(table.count('alive')).toBe(mostMembers)
  table.merge(claimOf('n7', 'dead'), mostMembers + 1)
  table.merge(claimOf('n3', 'left'), mostMembers + 2)
  expect(table.merge(claimOf('late'), mostMembers + 3)).toMatchObject({
    member: { id: 'late' },
    evicted: 'n7',
  })
  expect([table.get('n7'), table.get('n3')?.state]).toEqual([undefined, 'left'])
  // Nobody introduces one that is gone.
  table.merge(claimOf('n9', 'dead'), mostMembers + 3)
  expect(table.merge(claimOf('ghost', 'dead'), mostMembers + 3)).toBeUndefined()
  // Who is known already is heard all the same.
  expect(table.merge({ ...claimOf('n5'), incarnation: 2 }, mostMembers + 4)).toBeDefined()
})

test('so much news waits to be passed on and no more; what was renewed is not the oldest', () => {
  const broadcasts = new Broadcasts()
  const add = (n: number): void => broadcasts.add(`member n${n}`, { claim: claimOf(`n${n}`) })
  for (let n = 0; n < mostItems; n++) add(n)
  add(0)
  for (let n = mostItems; n < mostItems + 5; n++) add(n)
  expect(broadcasts.size).toBe(mostItems)
  const all = broadcasts.take(Number.POSITIVE_INFINITY, 1).map((text) => JSON.parse(text)[1])
  expect(all).toContain('n0')
  expect(all).toContain(`n${mostItems + 4}`)
  for (const gone of ['n1', 'n2', 'n3', 'n4', 'n5']) expect(all).not.toContain(gone)
})

test('a flood of wishes to ask somebody else is not followed beyond a measure, and again when it is over', () => {
  const agenda = new Agenda()
  let sent: Packet[] = []
  const prober = new Prober({
    ...{ agenda, settings: swimSettings(1000), table: new MemberTable(seeded(1)) },
    random: seeded(2),
    send: (_address, packet) => void sent.push(packet),
    unreached() {},
  })
  const from = { id: 'a', address: 'a:9903' }
  const wish = { type: 'relay', seq: 1, target: 'b', address: 'b:9903' } as const
  for (let n = 0; n < 5000; n++) prober.relay(0, from, wish)
  expect(sent).toHaveLength(1000)
  // No answer within its time, and a late one is not waited for any more.
  agenda.run(400)
  agenda.run(900)
  sent = []
  prober.relay(1000, from, wish)
  expect(sent).toEqual([expect.objectContaining({ type: 'ping', target: 'b' })])
})
