/** A process of its own that holds a lease: `node zookeeper-holder.ts URL TTL`. Answers each line of its input with one of JSON. */
import { createInterface } from 'node:readline'
import { openStore } from '../../core/host/open-store.ts'
import { builtIn, PluginRegistry } from '../../core/host/registry.ts'
import { builtins } from '../../plugins/manifest.ts'

const [url, ttlMs] = process.argv.slice(2)
const registry = new PluginRegistry()
for (const plugin of builtins) registry.add(builtIn(plugin))
const { store, stop } = await openStore(
  { use: 'zookeeper', options: { url }, path: 'store' },
  {
    registry,
    fleet: 'default',
    node: { id: `p${process.pid}`, boot: String(process.pid) },
    data: '/nonexistent',
    random: Math.random,
    log: { debug() {}, info() {}, warn() {}, error() {} },
  },
)
const lease = await store.lease('relay', 'a process', Number(ttlMs))
const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`)

/** Until it is known. */
async function repeated<T>(call: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await call()
    } catch (error) {
      if ((error as { code?: string }).code !== 'MR_STORE_UNAVAILABLE') throw error
    }
}

const answers: Record<string, () => unknown> = {
  valid: () => lease?.valid(),
  renew: () => repeated(async () => lease?.renew()),
  read: () => repeated(async () => (await store.get('config', { fresh: true }))?.revision.number),
}

say(lease?.token.number)
for await (const line of createInterface({ input: process.stdin })) say(await answers[line]())
await stop()
