/** Where members may be, by seeds and by the store's records, and who of the records is not heard. */
import type { Peer } from './port.ts'
import { isHere, type MemberTable, type SwimMember } from './table.ts'

export class Places {
  readonly #self: Peer
  readonly #table: MemberTable
  #addresses: readonly string[] = []
  #records: readonly Peer[] = []
  /** Who has said goodbye, by id. Kept for longer than the member is: its record, or a seed, still names it. */
  readonly #left = new Map<string, { readonly boot: string; readonly address: string }>()

  constructor(self: Peer, table: MemberTable) {
    this.#self = self
    this.#table = table
  }

  set(seeds: readonly string[], records: readonly Peer[]): void {
    this.#addresses = [...new Set([...seeds, ...records.map(({ address }) => address)])]
    this.#records = records.filter(({ id }) => id !== this.#self.id)
    const ids = new Set(records.map(({ id }) => id))
    for (const [id, { address }] of this.#left)
      if (!ids.has(id) && !this.#addresses.includes(address)) this.#left.delete(id)
  }

  changed({ id, state, boot, address }: SwimMember): void {
    if (state === 'left') this.#left.set(id, { boot, address })
    else this.#left.delete(id)
  }

  forget(id: string): void {
    this.#left.delete(id)
  }

  /** Addresses of which no member is known. */
  outsiders(): string[] {
    const known = new Set([this.#self.address, ...this.#table.addresses()])
    return this.#addresses.filter((address) => !known.has(address))
  }

  /** Who has a record is heard, or has said goodbye: also one whose record names our own address, where nobody else can be. */
  get areHeard(): boolean {
    return this.#records.every(({ id, boot }) => {
      const member = this.#table.get(id)
      return (member && isHere(member)) || this.#left.get(id)?.boot === boot
    })
  }

  /** There are places of others, and nobody has said goodbye there. */
  get areOpen(): boolean {
    const goodbyes = new Set([...this.#left.values()].map(({ address }) => address))
    return this.outsiders().some((address) => !goodbyes.has(address))
  }
}
