import { BlockList, isIP } from 'node:net'
import { beforeAll, describe, expect, test } from 'vitest'
import { AddressWords, parseBlock } from '../../../plugins/lib/address.ts'
import { AddressTable } from '../../../plugins/lib/address-table.ts'
import { untilFileEnds } from '../../harness/cleanup.ts'
import { fieldValue } from '../../harness/message-reader.ts'
import { seeded } from '../fake-context.ts'
import { filter } from '../make.ts'
import { freshBackend, type Served, serve } from './serve.ts'

const hex = (text: string): string | undefined => {
  const address = new AddressWords()
  return address.read(text)
    ? [...address.words].map((word) => word.toString(16).padStart(8, '0')).join('')
    : undefined
}

describe('addresses', () => {
  test.each([
    ['1.2.3.4', '00000000000000000000ffff01020304'],
    ['255.255.255.255', '00000000000000000000ffffffffffff'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['1::', '00010000000000000000000000000000'],
    ['2001:db8::ff00:42:8329', '20010db8000000000000ff0000428329'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
    ['::2:3:4:5:6:7:8', '00000002000300040005000600070008'],
    ['::ffff:1.2.3.4', '00000000000000000000ffff01020304'],
    ['64:ff9b::1.2.3.4', '0064ff9b000000000000000001020304'],
    ['1:2:3:4:5:6:1.2.3.4', '00010002000300040005000601020304'],
    ['fe80::ABCD%eth0', 'fe80000000000000000000000000abcd'],
    ['::ffff:1.2.3.4%lo', '00000000000000000000ffff01020304'],
  ])('%s', (text, words) => {
    expect(hex(text)).toBe(words)
  })

  test.each([
    '',
    '/run/app.sock',
    '1.2.3',
    '1.2.3.256',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    '::g',
    'unknown',
  ])('%j is none', (text) => {
    expect(hex(text)).toBeUndefined()
  })
})

describe('blocks', () => {
  test.each([
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0/8',
    'a/8',
    '10.0.0.0/8/8',
    'fe80::1%eth0/64',
    '10.0.0.0/-1',
  ])('%s is none', (text) => {
    expect(parseBlock(text)).toBeUndefined()
  })

  test('agree with the longest of the blocks that node finds', () => {
    const random = seeded(7)
    const some = (length: number): number => Math.floor(random() * length)
    const byte = (): number => [0, 1, 127, 128, 255][some(5)]
    const ipv4 = (): string => [10, some(2), byte(), byte()].join('.')
    const ipv6 = (): string =>
      `2001:db8:${some(2)}:${byte().toString(16)}::${byte().toString(16)}:${byte().toString(16)}`
    const blocks = new Map<string, number>()
    for (let i = 0; i < 150; i++) {
      const [address, bits] = random() < 0.5 ? [ipv4(), 17 + some(16)] : [ipv6(), 33 + some(96)]
      const block = parseBlock(`${address}/${bits}`)!
      const known = [...blocks.keys()].some((text) => String(parseBlock(text)!.words) === String(block.words))
      if (!known) blocks.set(`${address}/${bits}`, 1 + some(2))
    }
    const table = new AddressTable(
      [...blocks].map(([text, verdict]) => ({ block: parseBlock(text)!, verdict })),
      0,
    )
    const lists = [...blocks].map(([text, verdict]) => {
      const [address, bits] = text.split('/')
      const list = new BlockList()
      list.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6')
      return { list, bits: parseBlock(text)!.bits, verdict }
    })
    const verdicts = new Set<number>()
    for (let i = 0; i < 3000; i++) {
      const address = random() < 0.5 ? ipv4() : ipv6()
      const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
      const [longest] = lists
        .filter(({ list }) => list.check(address, family))
        .sort((a, b) => b.bits - a.bits)
      const expected = longest?.verdict ?? 0
      verdicts.add(expected)
      expect([address, table.find(address)]).toEqual([address, expected])
    }
    expect(verdicts).toEqual(new Set([0, 1, 2]))
  })

  test('that stand in both lists are refused, also where they are written otherwise', async () => {
    await expect(filter('ip-access', { allow: ['10.0.0.0/8'], deny: ['10.1.2.3/8'] })).rejects.toThrow(
      /stands in both lists/,
    )
    await expect(filter('ip-access', { deny: ['10.0.0.0/40'] })).rejects.toThrow(/address block/)
  })

  test('::/0 holds no IPv4, IPv4 blocks hold mapped addresses', () => {
    const rule = (text: string, verdict: number) => ({ block: parseBlock(text)!, verdict })
    const table = new AddressTable([rule('::/0', 1), rule('10.0.0.0/8', 2), rule('0.0.0.0/0', 3)], 0)
    const find = (text: string) => table.find(text)
    expect(['::1', '10.1.1.1', '::ffff:10.1.1.1', '11.1.1.1', 'unix'].map(find)).toEqual([1, 2, 2, 3, 0])
    expect(['255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'].map(find)).toEqual([3, 1])
  })
})

describe('over real sockets', () => {
  let served: Served
  const cleanup = untilFileEnds()
  beforeAll(async () => {
    served = await serve(
      cleanup,
      {
        in: [
          {
            use: 'ip-access',
            allow: ['10.0.0.0/8', '2001:db8::/32'],
            deny: ['10.1.0.0/16', '2001:db8:1::/48'],
          },
        ],
        out: [{ use: 'ip-access', allow: ['192.0.2.7'], deny: ['192.0.2.0/24', '127.0.0.1'] }],
        kept: [{ use: 'ip-access', deny: ['192.0.2.0/24'] }],
      },
      { trustedProxies: ['127.0.0.1'] },
    )
  })
  freshBackend(() => served)

  test.each([
    ['in', '10.2.3.4', 200],
    ['in', '10.1.3.4', 403],
    ['in', '11.1.3.4', 403],
    ['in', '2001:db8:2::1', 200],
    ['in', '2001:db8:1::1', 403],
    ['in', '::ffff:10.2.3.4', 200],
    ['in', 'unknown', 403],
    ['out', '192.0.2.7', 200],
    ['out', '192.0.2.8', 403],
    ['kept', '192.0.2.8', 403],
    ['kept', '192.0.2.8:4711', 403],
    ['in', '10.2.3.4:4711', 200],
    ['kept', '198.51.100.1', 200],
  ])('%s: %s is answered with %i', async (chain, address, status) => {
    const answer = await served.ask(chain, { fields: [`X-Forwarded-For: ${address}`] })
    expect(answer.status).toBe(status)
    expect(served.backend.requests).toHaveLength(status === 200 ? 1 : 0)
    if (status === 403) expect(fieldValue(answer, 'cache-control')).toBe('no-store')
  })

  test('what an untrusted client says of itself does not count', async () => {
    const chain = ['X-Forwarded-For: 10.2.3.4, 11.1.1.1']
    expect((await served.ask('in', { fields: chain })).status).toBe(403)
  })

  test('the peer counts where there is no such field', async () => {
    expect((await served.ask('out')).status).toBe(403)
    expect((await served.ask('kept')).status).toBe(200)
  })
})
