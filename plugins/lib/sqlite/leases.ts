/**
 * Leases in a store file. Their time is the machine's monotonic clock, which all processes of a boot share; with the boot's id
 * beside it, so that after a restart of the machine every lease has lapsed. Each function runs within a transaction.
 */
import { readFileSync } from 'node:fs'
import { knownLineage, lineageOf } from './documents.ts'
import { type LeaseRow, monotonicMs } from './messages.ts'
import type { Connection } from './store-file.ts'

/** Which run of the machine this is; '' where the platform does not tell. */
export function readBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

/**
 * ?1: the fleet, ?2: this boot, ?3: now. What seems to last longer than when it was written is of an earlier boot, whose clock
 * stood higher: that holds also where boots have no id.
 */
const lives = 'fleet = ?1 AND boot = ?2 AND until > ?3 AND until - ?3 <= span'

interface Held {
  readonly holder: string
  readonly token: number
  readonly until: number
}

export class Leases {
  readonly #fleet: string
  readonly #boot: string
  readonly #wall: () => number

  /** @param wall milliseconds since 1970 */
  constructor(fleet: string, boot = readBoot(), wall = () => Date.now()) {
    this.#fleet = fleet
    this.#boot = boot
    this.#wall = wall
  }

  /** @param givenBack a token that the holder has released, though that may not have arrived: it does not come back */
  take(
    connection: Connection,
    name: string,
    holder: string,
    ttlMs: number,
    givenBack?: number,
  ): LeaseRow | undefined {
    const found = this.#held(connection, name)
    if (found && found.holder !== holder) return undefined
    const held = found?.token === givenBack ? undefined : found
    const lineage = lineageOf(connection, this.#fleet)
    const number = held ? held.token : this.#nextToken(connection)
    // A shorter time to live does not shorten what the holder was given before.
    const now = monotonicMs()
    const until = Math.max(held?.until ?? 0, now + ttlMs)
    connection.run(
      'INSERT OR REPLACE INTO leases (fleet, name, holder, token, boot, until, span) VALUES (?, ?, ?, ?, ?, ?, ?)',
      ...[this.#fleet, name, holder, number, this.#boot, until, until - now],
    )
    return { name, holder, token: { lineage, number } }
  }

  /** @returns false when it is lost */
  renew(connection: Connection, name: string, token: number, ttlMs: number): boolean {
    const held = this.#held(connection, name)
    if (held?.token !== token) return false
    const now = monotonicMs()
    const until = Math.max(held.until, now + ttlMs)
    connection.run(
      'UPDATE leases SET until = ?, span = ? WHERE fleet = ? AND name = ?',
      ...[until, until - now, this.#fleet, name],
    )
    return true
  }

  release(connection: Connection, name: string, token: number): void {
    connection.run('DELETE FROM leases WHERE fleet = ? AND name = ? AND token = ?', this.#fleet, name, token)
  }

  list(connection: Connection, prefix: string): LeaseRow[] {
    const lineage = knownLineage(connection, this.#fleet) ?? ''
    const rows = connection.rows(
      `SELECT name, holder, token FROM leases WHERE ${lives} AND name >= ?4 AND name < ?5 ORDER BY name`,
      ...[this.#fleet, this.#boot, monotonicMs(), prefix, `${prefix}\x7f`],
    )
    return rows.map(({ name, holder, token }) => ({
      name: name as string,
      holder: holder as string,
      token: { lineage, number: token as number },
    }))
  }

  #held(connection: Connection, name: string): Held | undefined {
    const row = connection.row(
      `SELECT holder, token, until FROM leases WHERE ${lives} AND name = ?4`,
      ...[this.#fleet, this.#boot, monotonicMs(), name],
    )
    return row as unknown as Held | undefined
  }

  /**
   * At least the clock in microseconds: where an older copy of the file was put in its place, the count has gone back. The room
   * of leases that have lapsed is given back with it.
   */
  #nextToken(connection: Connection): number {
    connection.run(
      `DELETE FROM leases WHERE fleet = ?1 AND NOT (${lives})`,
      ...[this.#fleet, this.#boot, monotonicMs()],
    )
    const sql = 'UPDATE fleets SET tokens = max(tokens + 1, ?1) WHERE fleet = ?2 RETURNING tokens'
    const floor = BigInt(Math.floor(this.#wall()) * 1000)
    return connection.row(sql, floor, this.#fleet)?.tokens as number
  }
}
