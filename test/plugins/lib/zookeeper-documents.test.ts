/** Writers of one document that meet in the middle of a write. */
import { expect, test } from 'vitest'
import { Documents, type Write } from '../../../plugins/lib/zookeeper-documents.ts'
import { storeError } from '../../../plugins/lib/zookeeper-errors.ts'
import { Tree } from '../../../plugins/lib/zookeeper-tree.ts'

interface Made {
  data: Buffer
  version: number
}

/** The nodes of an ensemble. `before` is called before each node that is made. */
class Ensemble {
  readonly #nodes = new Map<string, Made>()
  before: (path: string) => Promise<void> = async () => {}

  client() {
    const statOf = (path: string, { version }: Made) => ({
      ...{ version, mzxid: 1, mtime: new Date(0) },
      numChildren: this.#below(path).length,
    })
    return {
      sync: async () => {},
      get: async (path: string) => {
        const node = this.#nodes.get(path)
        return node && { data: node.data, stat: statOf(path, node) }
      },
      children: async (path: string) => this.#below(path),
      create: async (path: string, data: Buffer) => {
        await this.before(path)
        if (this.#nodes.has(path)) return false
        const parent = path.slice(0, path.lastIndexOf('/'))
        if (parent !== '' && !this.#nodes.has(parent))
          throw storeError('MR_STORE_UNAVAILABLE', `create ${path}: not done: no node`)
        this.#nodes.set(path, { data, version: 0 })
        return true
      },
      set: async (path: string, data: Buffer, version: number) => {
        const node = this.#nodes.get(path)
        if (!node || (version !== -1 && version !== node.version)) return undefined
        this.#nodes.set(path, { data, version: node.version + 1 })
        return statOf(path, { data, version: node.version + 1 })
      },
      remove: async (path: string) => {
        if (this.#below(path).length === 0) this.#nodes.delete(path)
      },
    } as never
  }

  #below(path: string): string[] {
    return [...this.#nodes.keys()].flatMap((key) => {
      const rest = key.startsWith(`${path}/`) ? key.slice(path.length + 1) : ''
      return rest !== '' && !rest.includes('/') ? [rest] : []
    })
  }
}

const writeOf = (writeId: string, onTopOf: Write['expect']): Write => ({
  ...{ document: 'config', value: Buffer.from(writeId), expect: onTopOf, writeId },
  ...{ note: { by: writeId }, at: 0 },
})

test('what another has removed, who was faster, makes a conflict of it and no fault', async () => {
  const ensemble = new Ensemble()
  const documents = new Documents(new Tree('/millrace', 'default', false))
  const put = (write: Write) => documents.put(ensemble.client(), write, { head: false })
  const first = await put(writeOf('first', null))
  const expected = first.status === 'committed' ? first.revision : null
  // The first part of the slow one's value waits until the other has written, and has tidied.
  ensemble.before = async (path) => {
    if (!path.endsWith('/0')) return
    ensemble.before = async () => {}
    expect(await put(writeOf('fast', expected))).toMatchObject({ status: 'committed' })
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(await put(writeOf('slow', expected))).toMatchObject({
    status: 'conflict',
    head: { revision: { number: 2, id: 'fast' } },
  })
})
