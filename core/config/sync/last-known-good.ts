/**
 * The config that was served last, on the node's own disk: what a restart serves while the store is down. A file is written
 * whole (temporary name, fsync, rename, fsync of the folder) and carries a checksum; the two newest are kept, so that one
 * that does not read costs one revision.
 */
import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../../contracts/plugin.ts'
import type { RevisionAt } from './state.ts'

export interface SavedConfig {
  readonly revision: RevisionAt
  /** Schema of the value. */
  readonly schema: number
  /** As the store had it; `null` for a tombstone. */
  readonly value: Uint8Array | null
}

export interface LastKnownGood {
  /** What can be read, the newest first; empty: nothing. Never rejects. */
  load(): Promise<readonly SavedConfig[]>
  /** Settles when it is safe on the disk. @throws when it cannot be kept */
  save(config: SavedConfig): Promise<void>
}

interface Header {
  readonly format: 1
  readonly fleet: string
  readonly revision: RevisionAt
  readonly schema: number
  readonly tombstone: boolean
  /** SHA-256 of all the rest of the header as JSON and of the value. */
  readonly checksum: string
}

const kept = 2
const fileName = /^last-known-good-(\d{1,15})$/

export class LastKnownGoodFiles implements LastKnownGood {
  readonly #directory: string
  readonly #fleet: string
  readonly #log: Log
  /** Of the newest file; undefined before the folder was read. */
  #sequence: number | undefined

  /** @param directory `node.data`; made when it is not there */
  constructor(directory: string, fleet: string, log: Log) {
    this.#directory = directory
    this.#fleet = fleet
    this.#log = log
  }

  async load(): Promise<readonly SavedConfig[]> {
    const read = (await this.#sequences()).map((sequence) => this.#read(sequence))
    return (await Promise.all(read)).flatMap((saved) => saved ?? [])
  }

  async save({ revision, schema, value }: SavedConfig): Promise<void> {
    await mkdir(this.#directory, { recursive: true })
    // A folder that cannot be read now may hold newer ones: what is saved must not look older than they.
    const newest = this.#sequence ?? (await sequencesIn(this.#directory))[0] ?? 0
    const sequence = newest + 1
    const rest = { format: 1 as const, fleet: this.#fleet, revision, schema, tombstone: value === null }
    const bytes = value ?? new Uint8Array()
    const header: Header = { ...rest, checksum: checksum(rest, bytes) }
    const temporary = join(this.#directory, 'last-known-good.tmp')
    await writeDurably(temporary, Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), bytes]))
    await rename(temporary, this.#path(sequence))
    await syncFolder(this.#directory)
    this.#sequence = sequence
    for (const old of (await this.#sequences()).slice(kept)) await rm(this.#path(old), { force: true })
  }

  #path(sequence: number): string {
    return join(this.#directory, `last-known-good-${sequence}`)
  }

  /** Of the files that are there, the newest first. */
  #sequences(): Promise<number[]> {
    return sequencesIn(this.#directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT')
        this.#log.error(`last-known-good: ${this.#directory} cannot be read`, {
          code: 'MR_CONFIG_FILE',
          error,
        })
      return []
    })
  }

  async #read(sequence: number): Promise<SavedConfig | undefined> {
    const path = this.#path(sequence)
    try {
      const { fleet, ...saved } = parse(await readFile(path))
      if (fleet === this.#fleet) return saved
      this.#log.warn(`last-known-good: ${path} is of fleet ${fleet} and not used`)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#log.error(`last-known-good: ${path} is not used: ${why}`, { code: 'MR_CONFIG_FILE' })
    }
    return undefined
  }
}

/** The newest first. @throws where the folder cannot be read */
async function sequencesIn(directory: string): Promise<number[]> {
  const names = await readdir(directory)
  return names.flatMap((name) => Number(fileName.exec(name)?.[1] ?? [])).sort((a, b) => b - a)
}

function parse(bytes: Buffer): SavedConfig & { readonly fleet: string } {
  const end = bytes.indexOf(0x0a)
  if (end < 0) throw new Error('it is cut off')
  const { checksum: expected, ...rest } = JSON.parse(bytes.subarray(0, end).toString()) as Header
  if (rest.format !== 1) throw new Error(`its format is ${String(rest.format)}, expected 1`)
  const value = bytes.subarray(end + 1)
  if (checksum(rest, value) !== expected) throw new Error('its checksum is wrong')
  const { fleet, revision, schema, tombstone } = rest
  return { fleet, revision, schema, value: tombstone ? null : value }
}

function checksum(rest: Omit<Header, 'checksum'>, value: Uint8Array): string {
  return createHash('sha256').update(JSON.stringify(rest)).update('\n').update(value).digest('hex')
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  // Private: services may hold keys of TLS.
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Without it the new name may be gone after a power cut. */
async function syncFolder(directory: string): Promise<void> {
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
