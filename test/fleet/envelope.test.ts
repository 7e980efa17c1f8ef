import { describe, expect, test } from 'vitest'
import { type DropReason, Envelopes } from '../../core/fleet/envelope.ts'
import { packetBytes } from '../../plugins/lib/swim/wire.ts'

interface Given {
  keys?: readonly string[]
  fleet?: string
  boot?: string
  wall?: () => number
}

const minute = 60_000

function make(id: string, { keys = ['key'], fleet = 'f', boot = `boot-${id}`, wall = () => 0 }: Given = {}) {
  const drops: DropReason[] = []
  const envelopes = new Envelopes({
    fleet,
    self: { id, boot },
    keys,
    wall,
    dropped: (why) => drops.push(why),
  })
  return {
    drops,
    seal: (text: string) => envelopes.sealText('p', text),
    sealBytes: (text: string) => envelopes.seal('p', Buffer.from(text)),
    /** The payload; undefined: it was dropped. */
    open: (sealed: string) => textOf(envelopes.openText(sealed)),
    openBytes: (sealed: Uint8Array) => textOf(envelopes.open(sealed)),
    envelopes,
  }
}

const textOf = (opened: { payload: Uint8Array } | undefined): string | undefined =>
  opened && Buffer.from(opened.payload).toString()

test('says what for, and from whom, in text and in bytes', () => {
  const [a, b] = [make('a'), make('b')]
  const wanted = { purpose: 'p', from: 'a', boot: 'boot-a', payload: Buffer.from('é\n☃') }
  expect(b.envelopes.openText(a.seal('é\n☃'))).toEqual({ ...wanted, counter: 1 })
  expect(b.envelopes.open(a.sealBytes('é\n☃'))).toEqual({ ...wanted, counter: 2 })
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
  expect(b.envelopes.open(a.envelopes.seal('p', bytes))?.payload).toEqual(Buffer.from(bytes))
  expect(b.drops).toEqual([])
})

describe('a message is heard once', () => {
  test('in whatever order they come', () => {
    const [a, b] = [make('a'), make('b')]
    const first = a.seal('first')
    expect(b.open(first)).toBe('first')
    const sealed = Array.from({ length: 500 }, (_, index) => a.seal(`m${index}`))
    const order = sealed.map((_, index) => (index * 7) % sealed.length)
    expect(order.map((index) => b.open(sealed[index]))).toEqual(order.map((index) => `m${index}`))
    expect([first, ...sealed].map((each) => b.open(each))).toEqual([first, ...sealed].map(() => undefined))
    expect(new Set(b.drops)).toEqual(new Set(['replayed']))
  })

  test('and not when it is so far behind that nobody remembers', () => {
    const [a, b] = [make('a'), make('b')]
    expect(b.open(a.seal('0'))).toBe('0')
    const late = a.seal('late')
    const [edge, ...others] = Array.from({ length: 1024 }, (_, index) => a.seal(`m${index}`))
    expect(b.open(others.at(-1) as string)).toBe('m1023')
    expect(b.open(edge)).toBe('m0')
    expect(b.open(late)).toBeUndefined()
    expect(b.drops).toEqual(['replayed'])
  })

  test('a gap of any length is no fault', () => {
    const [a, b] = [make('a'), make('b')]
    expect(b.open(a.seal('0'))).toBe('0')
    for (let count = 0; count < 5000; count++) a.seal('lost')
    expect(b.open(a.seal('after'))).toBe('after')
    expect(b.drops).toEqual([])
  })

  test('what comes after the first and was sealed before it is out of order, and heard', () => {
    const [a, b] = [make('a'), make('b')]
    const before = a.seal('before')
    expect(b.open(a.seal('first'))).toBe('first')
    expect([b.open(before), b.open(before)]).toEqual(['before', undefined])
  })

  test('but not if it was sent before the node began: it may have been heard by an earlier start of it', () => {
    let now = 0
    const a = make('a', { wall: () => now })
    const before = a.seal('before')
    now = 1
    const b = make('b', { wall: () => now })
    expect(b.open(a.seal('first'))).toBe('first')
    expect(b.open(before)).toBeUndefined()
    expect(b.drops).toEqual(['replayed'])
  })
})

describe('starts of a node', () => {
  test('a new one is heard, and what the one before has sent is dropped from then on', () => {
    const b = make('b')
    const old = make('a', { boot: 'old', wall: () => 10 })
    const [heard, kept] = [old.seal('1'), old.seal('2')]
    expect(b.open(heard)).toBe('1')
    const renewed = make('a', { boot: 'new', wall: () => 20 })
    expect(b.open(renewed.seal('3'))).toBe('3')
    expect([b.open(kept), b.open(heard)]).toEqual([undefined, undefined])
    expect(b.drops).toEqual(['superseded', 'superseded'])
    expect(b.open(renewed.seal('4'))).toBe('4')
  })

  test('one whose clock was set back is heard when the one before has been silent for five minutes', () => {
    let now = 0
    const b = make('b', { wall: () => now })
    expect(b.open(make('a', { boot: 'old', wall: () => 100 }).seal('1'))).toBe('1')
    const back = make('a', { boot: 'back', wall: () => now })
    expect(b.open(back.seal('2'))).toBeUndefined()
    now = 5 * minute + 1
    expect(b.open(back.seal('3'))).toBe('3')
    expect(b.drops).toEqual(['superseded'])
  })

  test('a recording is not heard by a node that has just begun and knows nobody', () => {
    const recorded = make('a').seal('old')
    const b = make('b', { wall: () => 6 * minute })
    expect(b.open(recorded)).toBeUndefined()
    expect(b.drops).toEqual(['stale'])
  })

  test('once a node is known its clock does not matter any more', () => {
    let now = 0
    const a = make('a', { wall: () => now })
    const b = make('b')
    expect(b.open(a.seal('1'))).toBe('1')
    now = 600 * minute
    expect(b.open(a.seal('2'))).toBe('2')
  })

  test('no more than 10,000 nodes are remembered; the one silent for longest is forgotten, and has to be of now again', () => {
    let now = 0
    const [first, second] = ['first', 'second'].map((id) => make(id, { keys: [], wall: () => now }))
    const old = first.seal('old')
    const older = second.seal('old')
    now = 1
    const b = make('b', { keys: [], wall: () => now })
    expect([b.open(first.seal('x')), b.open(second.seal('x'))]).toEqual(['x', 'x'])
    for (let index = 0; index < 9_998; index++) b.open(make(`n${index}`, { keys: [] }).seal('x'))
    expect(b.open(second.seal('still known'))).toBe('still known')
    b.open(make('one more', { keys: [] }).seal('x'))
    now = 6 * minute
    b.drops.length = 0
    expect([b.open(old), b.open(older)]).toEqual([undefined, undefined])
    expect(b.drops).toEqual(['stale', 'replayed'])
  })
})

test('a gossip packet with the longest names has at most 1,400 bytes', () => {
  const name = 'n'.repeat(128)
  const boot = '00000000-0000-0000-0000-000000000000'
  const { envelopes } = make(name, { fleet: name, boot, wall: () => 9_999_999_999_999 })
  const sealed = envelopes.seal('config-sync gossip message', new Uint8Array(packetBytes))
  // The counter has one digit here, and up to 16.
  expect(sealed.length + 15).toBeLessThanOrEqual(1400)
})

describe('what does not prove itself', () => {
  test('of another key, of none, of another fleet', () => {
    const sealed = make('a').seal('one')
    const others: [Given, DropReason][] = [
      [{ keys: ['other'] }, 'unproven'],
      [{ keys: [] }, 'unproven'],
      [{ fleet: 'g' }, 'foreign'],
    ]
    for (const [given, why] of others) {
      const other = make('b', given)
      expect(other.open(sealed)).toBeUndefined()
      expect(other.drops).toEqual([why])
    }
  })

  test('changed anywhere, cut, or nonsense', () => {
    const [a, b] = [make('a'), make('b')]
    const text = a.seal('one')
    for (let at = 0; at < text.length; at++) {
      const changed = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1)
      expect(b.open(changed), changed).toBeUndefined()
    }
    const bytes = a.sealBytes('one')
    for (let at = 0; at < bytes.length; at++)
      for (let bit = 0; bit < 8; bit++)
        expect(
          b.openBytes(bytes.map((byte, index) => (index === at ? byte ^ (1 << bit) : byte))),
        ).toBeUndefined()
    for (const each of ['', 'x', text.slice(0, -1), text.slice(1), '☃'.repeat(60)])
      expect(b.open(each)).toBeUndefined()
    for (const each of [bytes.slice(0, 31), bytes.slice(0, 32), bytes.slice(1), new Uint8Array(100)])
      expect(b.openBytes(each)).toBeUndefined()
    expect(new Set(b.drops)).toEqual(new Set(['unproven']))
    expect([b.open(text), b.openBytes(bytes)]).toEqual(['one', 'one'])
  })

  test('without a key, damage is found', () => {
    const [a, b] = [make('a', { keys: [] }), make('b', { keys: [] })]
    const sealed = a.seal('one')
    expect(b.open(sealed.replace('one', 'two'))).toBeUndefined()
    expect(b.open(sealed)).toBe('one')
  })
})

test('a key is changed in three steps, each on all nodes in turn, and every message is heard', () => {
  const steps = [['old'], ['old', 'new'], ['new', 'old'], ['new']]
  for (let step = 1; step < steps.length; step++) {
    const [before, after] = [steps[step - 1], steps[step]]
    const [a, b] = [make('a', { keys: before }), make('b', { keys: after })]
    expect([b.open(a.seal('x')), a.open(b.seal('y'))]).toEqual(['x', 'y'])
  }
  const [first, last] = [make('a', { keys: steps[0] }), make('b', { keys: steps[3] })]
  expect(last.open(first.seal('x'))).toBeUndefined()
})
