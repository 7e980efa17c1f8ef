import { scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

/** A password as it is kept, in the PHC string format: `$scrypt$ln=14,r=8,p=1$<salt>$<hash>`, base64 without padding. */
export interface PasswordHash {
  readonly cost: { readonly N: number; readonly r: number; readonly p: number; readonly maxmem: number }
  readonly salt: Buffer
  readonly hash: Buffer
}

const pattern =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})={0,2}\$([A-Za-z0-9+/]{22,86})={0,2}$/

/** @returns undefined where it is no scrypt hash, or one that costs too little to be safe or too much to be computed here */
export function parsePassword(text: string): PasswordHash | undefined {
  const match = pattern.exec(text)
  if (!match) return undefined
  const [ln, r, p] = match.slice(1, 4).map(Number)
  const N = 2 ** ln
  const bytes = 128 * N * r
  if (ln < 10 || r < 1 || p < 1 || p > 16 || bytes > 128 * 1024 * 1024) return undefined
  const salt = Buffer.from(match[4], 'base64')
  return { cost: { N, r, p, maxmem: bytes * 2 }, salt, hash: Buffer.from(match[5], 'base64') }
}

const derive = promisify<string, Buffer, number, PasswordHash['cost'], Buffer>(scrypt)

/** On the thread pool; compares in constant time. */
export async function matchesPassword(
  password: string,
  { cost, salt, hash }: PasswordHash,
): Promise<boolean> {
  return timingSafeEqual(await derive(password, salt, hash.length, cost), hash)
}
