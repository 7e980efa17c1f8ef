/** A process of its own that belongs to a fleet: `node relay-process.ts WHAT SITE`. Says in lines of JSON what it did. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { encodeConfig } from '../../core/config/sync/value.ts'
import { openPart, type Site, startRelay } from '../harness/sync-site.ts'

const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`)

const acts: Record<string, (site: Site, count: number) => Promise<unknown>> = {
  /** Writes the next config, and would announce it: it waits in between, to be killed there. */
  async write(site, count) {
    const { store, sync } = await openPart(site, `writer-${process.pid}`)
    const head = await store.get('config', { fresh: true })
    const written = await store.put(
      'config',
      encodeConfig({ n: count }),
      head?.revision ?? null,
      randomUUID(),
      {
        by: 'a writer',
      },
    )
    if (written.status !== 'committed') throw new Error(written.status)
    say({ committed: written.revision.number })
    await once(process.stdin, 'data')
    await sync.announce?.('config', written.revision)
    say({ announced: written.revision.number })
  },
  /** Announces what others do not, until it is killed. */
  async relay(site) {
    const announced = (number: number): void => say({ announced: number })
    const { relay } = await startRelay(site, `relay-${process.pid}`, {
      ttlMs: 1000,
      standbyMs: 400,
      announced,
    })
    let working = false
    setInterval(() => {
      if (relay?.state.working !== working) say({ working: relay?.state.working })
      working = relay?.state.working === true
    }, 10)
  },
}

const [what, site, count] = process.argv.slice(2)
await acts[what](JSON.parse(site), Number(count))
