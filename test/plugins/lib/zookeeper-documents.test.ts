/** What the documents of the ZooKeeper store cost in round trips, and what must not be saved with them. */
import { randomUUID } from 'node:crypto'
import type { Revision, RevisionRef } from 'millrace'
import { expect, test } from 'vitest'
import { Ensemble, note, root } from './zookeeper-ensemble.ts'

const config = `${root}/documents/config`
const short = 16 * 1024

type Node = ReturnType<Ensemble['node']>

async function write(
  node: Node,
  value: Uint8Array | string,
  expected: RevisionRef | null,
): Promise<Revision> {
  const given = {
    document: 'config',
    value: Buffer.from(value),
    expect: expected,
    writeId: randomUUID(),
    note,
    at: 1,
  }
  const result = await node.documents.put(node.connection, given, { head: false })
  if (result.status !== 'committed') throw new Error(result.status)
  return result.revision
}

async function read(node: Node, fresh = false) {
  const found = await node.documents.get(node.connection, 'config', fresh)
  return found && { text: Buffer.from(found.value ?? []).toString(), lineage: found.lineage }
}

/** One has written twice, the other has read. */
async function pair() {
  const ensemble = new Ensemble()
  const [writer, reader] = [ensemble.node(), ensemble.node()]
  let head = await write(writer, 'v1', null)
  head = await write(writer, 'v2', head)
  const lineage = (await read(reader))?.lineage
  expect(lineage).toMatch(/^[0-9a-f-]{36}$/)
  return { ensemble, writer, reader, head, lineage }
}

test('a read is one round trip, with the lineage, also the first of a connection and a fresh one', async () => {
  const { ensemble, reader, lineage } = await pair()
  const other = ensemble.node()
  for (const [node, fresh] of [
    [other, false],
    [reader, true],
    [reader, false],
  ] as const) {
    const { trips } = await ensemble.counted(async () =>
      expect(await read(node, fresh)).toEqual({ text: 'v2', lineage }),
    )
    expect(trips).toBe(1)
  }
})

test('a value that is longer than a head should be is one more', async () => {
  const { ensemble, writer, reader, head } = await pair()
  const at = await write(writer, 'x'.repeat(short), head)
  expect((await ensemble.counted(() => read(reader))).trips).toBe(1)
  expect(await read(reader)).toMatchObject({ text: 'x'.repeat(short) })
  await write(writer, 'y'.repeat(short + 1), at)
  expect((await ensemble.counted(() => read(reader))).trips).toBe(2)
  expect(await read(reader)).toMatchObject({ text: 'y'.repeat(short + 1) })
  const { connection, documents } = reader
  const before = await documents.revision(connection, 'config', at)
  expect(Buffer.from(before?.value ?? []).toString()).toBe('x'.repeat(short))
})

test('who has just read or written a document writes it in two round trips, two nodes; others in three', async () => {
  const { ensemble, writer, reader, head } = await pair()
  let next: Revision = head
  const by = (node: Node) => ensemble.counted(async () => (next = await write(node, 'next', next)))
  const mine = await by(writer)
  expect(mine.trips).toBe(2)
  expect(mine.sent).toEqual([expect.stringMatching(`^create ${config}/3-`), `set ${config}`])
  expect((await by(reader)).trips).toBe(3)
  expect((await by(reader)).trips).toBe(2)
  expect((await by(ensemble.node())).trips).toBe(3)
})

test('what was seen last decides nothing: who was overtaken is told, and leaves nothing behind', async () => {
  const { ensemble, writer, reader, head } = await pair()
  await write(reader, 'theirs', head)
  await expect(write(writer, 'mine', head)).rejects.toThrow('conflict')
  await new Promise((resolve) => setImmediate(resolve))
  expect(await read(writer, true)).toMatchObject({ text: 'theirs' })
  expect([...ensemble.nodes.keys()].filter((path) => path.startsWith(`${config}/`))).toHaveLength(3)
})

test('of another lineage the same version says nothing', async () => {
  const { ensemble, writer, head } = await pair()
  ensemble.write(root, JSON.stringify({ format: 1, lineage: 'another' }))
  const { sent } = await ensemble.counted(() => write(writer, 'v3', head))
  expect(sent[0]).toBe('sync')
})

test('what a watch has read is there at once for whoever need not have it fresh, and no longer', async () => {
  const { ensemble, writer, reader, head, lineage } = await pair()
  await write(writer, 'v3', head)
  const { data } = ensemble.nodes.get(config) ?? {}
  expect(reader.documents.heard(reader.connection, 'config', data as Buffer)).toMatchObject({ number: 3 })
  const told = await ensemble.counted(async () => expect(await read(reader)).toEqual({ text: 'v3', lineage }))
  expect(told.trips).toBe(0)
  expect((await ensemble.counted(() => read(reader, true))).trips).toBe(1)
  reader.documents.heard(reader.connection, 'config', data as Buffer)
  expect((await ensemble.counted(() => read(ensemble.node()))).trips).toBe(1)
  // A turn of the loop is over.
  expect((await ensemble.counted(() => read(reader))).trips).toBe(1)
})

test('what a watch has read is not there for another connection; what cannot be read is told to nobody', async () => {
  const { ensemble, reader } = await pair()
  const { data } = ensemble.nodes.get(config) ?? {}
  const again = { ...reader, connection: reader.connect() }
  await read(again)
  reader.documents.heard(reader.connection, 'config', data as Buffer)
  expect((await ensemble.counted(() => read(again))).trips).toBe(1)
  expect(reader.documents.heard(reader.connection, 'config', Buffer.from('nonsense'))).toBeUndefined()
  expect((await ensemble.counted(() => read(reader))).trips).toBe(1)
})

test('a lineage that has become another is told with what is read from then on, also when it does so in between', async () => {
  const { ensemble, reader } = await pair()
  const become = (lineage: string) => ensemble.write(root, JSON.stringify({ format: 1, lineage }))
  become('another')
  expect(await read(reader)).toEqual({ text: 'v2', lineage: 'another' })
  become('a third')
  ensemble.before = (what) => {
    if (what !== `get ${config}`) return
    ensemble.before = () => {}
    become('a fourth')
  }
  expect(await read(reader)).toEqual({ text: 'v2', lineage: 'a fourth' })
})

test('what earlier versions wrote is read, and gone on from: every value in a node of its own', async () => {
  const { ensemble, reader } = await pair()
  const record = (number: number) => ({
    ...{ node: `${number}-old`, number, id: `old-${number}`, tombstone: false, note, at: 1, bytes: 5 },
    ...(number > 1 && { parent: `old-${number - 1}` }),
  })
  for (const number of [1, 2]) {
    ensemble.write(`${config}/${number}-old`, JSON.stringify(record(number)))
    ensemble.write(`${config}/${number}-old/0`, `old ${number}`)
  }
  ensemble.write(config, JSON.stringify({ ...record(2), kept: [['1-old', 'old-1', 5]] }))
  expect(await read(reader)).toMatchObject({ text: 'old 2' })
  const { connection, documents } = reader
  const next = await write(reader, 'new 3', { number: 2, id: 'old-2' })
  expect(await read(reader)).toMatchObject({ text: 'new 3' })
  const history = await documents.history(connection, 'config', Number.POSITIVE_INFINITY, 100)
  expect(history.map(({ revision }) => revision.id)).toEqual([next.id, 'old-2', 'old-1'])
  for (const [number, text] of [
    [1, 'old 1'],
    [2, 'old 2'],
  ] as const) {
    const found = await documents.revision(connection, 'config', { number, id: `old-${number}` })
    expect(Buffer.from(found?.value ?? []).toString()).toBe(text)
  }
})

test('values of no bytes, with line feeds, and none at all come back as they were', async () => {
  const { writer, reader, head } = await pair()
  let at = await write(writer, '', head)
  expect(await read(reader)).toMatchObject({ text: '' })
  at = await write(writer, '\n[]\n\n{}', at)
  expect(await read(reader)).toMatchObject({ text: '\n[]\n\n{}' })
  const gone = { document: 'config', value: null, expect: at, writeId: 'gone', note, at: 1 }
  await writer.documents.put(writer.connection, gone, { head: false })
  const { connection, documents } = reader
  expect(await documents.get(connection, 'config', true)).toMatchObject({ value: null, tombstone: true })
})
