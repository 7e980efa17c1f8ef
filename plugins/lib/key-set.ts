import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose'
import type { Clock, Log } from 'millrace'

export interface KeySetDeps {
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
}

const fetchTimeoutMs = 3000
const maxBytes = 512 * 1024
/** After a failure; and the least time between two fetches that unknown keys ask for. */
const againMs = 10_000

/**
 * The keys at a URL (RFC 7517 §5), fetched beside the request path: at the start, and again each `refreshMs`. A token signed with a
 * key that is not there asks for one more fetch, at most every ten seconds, so that a new key is known at once. What
 * cannot be fetched or read leaves the former keys.
 */
export class RemoteKeys {
  readonly #url: string
  readonly #refreshMs: number
  readonly #deps: KeySetDeps
  readonly #build: (set: JSONWebKeySet) => JWTVerifyGetKey
  #fetching: Promise<void> | undefined
  #triedMs = Number.NEGATIVE_INFINITY
  #text = ''
  #timer: { cancel(): void } | undefined
  /** Undefined until the first fetch has succeeded. */
  keys: JWTVerifyGetKey | undefined
  /** Counts changes: what was verified with former keys is to be verified again. */
  version = 0

  constructor(
    url: string,
    refreshMs: number,
    build: (set: JSONWebKeySet) => JWTVerifyGetKey,
    deps: KeySetDeps,
  ) {
    this.#url = url
    this.#refreshMs = refreshMs
    this.#build = build
    this.#deps = deps
  }

  /** Fetches, unless a fetch is under way; never rejects. */
  refresh(): Promise<void> {
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  /** For a key that is not there. Resolves at once where it was looked for a short time ago. */
  async lookAgain(): Promise<void> {
    if (this.#fetching || this.#deps.clock.now() - this.#triedMs >= againMs) await this.refresh()
  }

  async #fetch(): Promise<void> {
    const { clock, log, signal } = this.#deps
    this.#triedMs = clock.now()
    let next = this.#refreshMs
    try {
      const text = await download(this.#url, signal)
      if (text !== this.#text) {
        this.keys = this.#build(JSON.parse(text) as JSONWebKeySet)
        this.#text = text
        this.version++
      }
    } catch (error) {
      next = Math.min(againMs, this.#refreshMs)
      if (!signal.aborted) {
        const cause =
          error instanceof Error ? `${error.message} ${String(error.cause ?? '')}`.trim() : String(error)
        log.warn('the key set cannot be used; the former keys stay', { url: this.#url, cause })
      }
    }
    this.#timer?.cancel()
    if (!signal.aborted) this.#timer = clock.after(next, () => void this.refresh())
  }
}

async function download(url: string, stopped: AbortSignal): Promise<string> {
  const signal = AbortSignal.any([stopped, AbortSignal.timeout(fetchTimeoutMs)])
  const headers = { accept: 'application/jwk-set+json, application/json' }
  // A redirect could lead anywhere, also to plain http.
  const answer = await fetch(url, { signal, headers, redirect: 'error' })
  if (!answer.ok) throw new Error(`it was answered with ${answer.status}`)
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of answer.body ?? []) {
    bytes += piece.length
    if (bytes > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}
