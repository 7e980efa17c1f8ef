/** Who listens on a port of this machine. Linux only, and only processes that this user may look into. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'

export interface PortOwner {
  readonly pid: number
  /** Name of the program, e.g. `nginx`. */
  readonly command: string
}

const listening = '0A'

/** Inodes of the sockets that listen on the port, from the kernel's tables. */
function inodesOf(port: number): Set<string> {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0')
  const inodes = new Set<string>()
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const row of read(table).split('\n').slice(1)) {
      const [, local, , state, , , , , , inode] = row.trim().split(/\s+/)
      if (state === listening && local.endsWith(`:${hexPort}`)) inodes.add(`socket:[${inode}]`)
    }
  }
  return inodes
}

/** Files under /proc come and go, and some belong to others: what cannot be read is empty. */
function read(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

function holds(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`)))
  } catch {
    return false
  }
}

/** By its binary: a program may name itself as it likes, and Node calls itself `MainThread`. */
function commandOf(pid: string): string {
  try {
    return path.basename(readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ''))
  } catch {
    return read(`/proc/${pid}/comm`).trim()
  }
}

export function portOwner(port: number): PortOwner | undefined {
  const inodes = inodesOf(port)
  if (inodes.size === 0) return undefined
  const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && holds(name, inodes))
  if (pid === undefined) return undefined
  return { pid: Number(pid), command: commandOf(pid) }
}
