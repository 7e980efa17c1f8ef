/**
 * The config store of a process, whatever becomes of its plugin's instance. While there is none its calls reject as those of a store
 * that cannot be reached, which its users know how to bear: what is served stays. Watches go over to the next instance, leases do not.
 */
import type {
  ConfigStore,
  Document,
  FencingToken,
  Head,
  Lease,
  LeaseInfo,
  PutResult,
  ReadOptions,
  RevisionRef,
  WatchListener,
  WriteNote,
} from '../contracts/config-store.ts'
import { MillraceError } from './errors.ts'

/** Runs what is the plugin's doing. */
type Inside = <T>(work: () => T) => T

interface Watcher {
  readonly prefixes: readonly string[]
  readonly listener: WatchListener
  /** On the instance that there is. */
  watching: { close(): void } | undefined
}

export class KeptStore implements ConfigStore {
  /** There where the plugin's instances have it. */
  watch?: ConfigStore['watch']
  #store: ConfigStore | undefined
  #inside: Inside = (work) => work()
  /** Ends each call that is under way, for the instance may never answer. */
  readonly #calls = new Set<() => void>()
  readonly #watchers = new Set<Watcher>()

  /** From now on calls go there; undefined: there is no instance. */
  use(store: ConfigStore | undefined, inside?: Inside): void {
    this.#store = store
    if (inside) this.#inside = inside
    if (store?.watch) this.watch ??= (prefixes, listener) => this.#watch(prefixes, listener)
    if (!store) {
      for (const end of this.#calls) end()
      this.#calls.clear()
    }
    for (const watcher of [...this.#watchers]) {
      watcher.watching = undefined
      if (store) this.#begin(watcher)
      else watcher.listener.bus('down')
    }
  }

  lineage(): Promise<string> {
    return this.#call((store) => store.lineage())
  }

  get(document: string, options?: ReadOptions): Promise<Document | null> {
    return this.#call((store) => store.get(document, options))
  }

  heads(prefix: string, options?: ReadOptions): Promise<readonly Head[]> {
    return this.#call((store) => store.heads(prefix, options))
  }

  put(
    document: string,
    value: Uint8Array | null,
    expect: RevisionRef | null,
    writeId: string,
    note: WriteNote,
  ): Promise<PutResult> {
    return this.#call(
      (store) => store.put(document, value, expect, writeId, note),
      (cause) => ({ status: 'unknown', cause }),
    )
  }

  history(
    document: string,
    options?: { readonly before?: number; readonly limit?: number },
  ): Promise<readonly Head[]> {
    return this.#call((store) => store.history(document, options))
  }

  revision(document: string, revision: RevisionRef): Promise<Document | null> {
    return this.#call((store) => store.revision(document, revision))
  }

  unannounced(): Promise<readonly Head[]> {
    return this.#call((store) => store.unannounced())
  }

  markAnnounced(document: string, revision: RevisionRef): Promise<void> {
    return this.#call((store) => store.markAnnounced(document, revision))
  }

  async lease(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    const store = this.#store
    const lease = await this.#call((asked) => asked.lease(name, holder, ttlMs))
    return lease && new KeptLease(lease, () => this.#store === store)
  }

  leases(prefix: string): Promise<readonly LeaseInfo[]> {
    return this.#call((store) => store.leases(prefix))
  }

  #call<T>(ask: (store: ConfigStore) => Promise<T>, lost?: (cause: MillraceError) => T): Promise<T> {
    const store = this.#store
    if (!store) return Promise.reject(away())
    return new Promise<T>((resolve, reject) => {
      const end = (): void => (lost ? resolve(lost(away())) : reject(away()))
      const answered = (): void => void this.#calls.delete(end)
      this.#calls.add(end)
      const asking = async (): Promise<T> => this.#inside(() => ask(store))
      void asking().then(resolve, reject).then(answered)
    })
  }

  #watch(prefixes: readonly string[], listener: WatchListener): { close(): void } {
    const watcher: Watcher = { prefixes, listener, watching: undefined }
    this.#watchers.add(watcher)
    this.#begin(watcher)
    return {
      close: () => {
        this.#watchers.delete(watcher)
        watcher.watching?.close()
      },
    }
  }

  #begin(watcher: Watcher): void {
    const store = this.#store
    const isHeard = (): boolean => this.#store === store && this.#watchers.has(watcher)
    const listener: WatchListener = {
      hint: (document, revision) => {
        if (isHeard()) watcher.listener.hint(document, revision)
      },
      bus: (state) => {
        if (isHeard()) watcher.listener.bus(state)
      },
    }
    watcher.watching = this.#inside(() => store?.watch?.(watcher.prefixes, listener))
  }
}

/** It is lost with the instance that gave it: only that could renew it. */
class KeptLease implements Lease {
  readonly #lease: Lease
  readonly #isKept: () => boolean

  constructor(lease: Lease, isKept: () => boolean) {
    this.#lease = lease
    this.#isKept = isKept
  }

  get name(): string {
    return this.#lease.name
  }

  get holder(): string {
    return this.#lease.holder
  }

  get token(): FencingToken {
    return this.#lease.token
  }

  get ttlMs(): number {
    return this.#lease.ttlMs
  }

  valid(): boolean {
    return this.#isKept() && this.#lease.valid()
  }

  remainingMs(): number {
    return this.#isKept() ? this.#lease.remainingMs() : 0
  }

  async renew(): Promise<boolean> {
    return this.#isKept() && (await this.#lease.renew()) && this.#isKept()
  }

  async release(): Promise<void> {
    if (this.#isKept()) await this.#lease.release()
  }
}

function away(): MillraceError {
  const message = 'the plugin of the store has thrown outside of any hook, and is made anew'
  return new MillraceError('MR_STORE_UNAVAILABLE', message)
}
