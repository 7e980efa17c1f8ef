/**
 * Redlock: a lease that more than half of several independent Redis servers have given.
 * https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/#the-redlock-algorithm
 *
 * All are asked at once, none for longer than its limit. The outcome stands as soon as it is certain; who answers later is heard for
 * nothing but that what it gave can be given back.
 */
import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { type Clock, type FencingToken, type Lease, MillraceError } from 'millrace'
import { HeldLease, type LeaseTerms } from './held-lease.ts'
import type { RedisLink } from './redis-link.ts'
import { runScript } from './redis-run.ts'
import type { Script } from './redis-scripts.ts'
import { checkLease } from './store-checks.ts'

const script = (text: string): Script => ({ text, sha: createHash('sha1').update(text).digest('hex') })

/**
 * KEYS: lock. ARGV: value, ttl. SET NX PX, and the same again by whoever has it: a server that came back empty in the middle of a
 * holding takes part in it again.
 */
const holdText = `
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`

/** KEYS: lock. ARGV: value. */
const freeText = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`

export interface RedlockServers {
  readonly nodes: readonly RedisLink[]
  /** Before each name. */
  readonly prefix: string
  readonly clock: Pick<Clock, 'now'>
  /** The next token of a name: greater than all before, whatever the nodes have forgotten. */
  token(name: string, holder: string): Promise<FencingToken>
}

/** The error: too few have answered to know. */
type Outcome = 'won' | 'refused' | MillraceError

interface Vote {
  /** The key of the lock, and what stands under it: of this try and no other, so that giving one back never takes from the next. */
  readonly key: string
  readonly value: string
  /** Settles when it is certain. */
  readonly outcome: Promise<Outcome>
  /** By node; none rejects. */
  readonly answers: readonly Promise<void>[]
}

export class Redlock {
  readonly #servers: RedlockServers
  readonly #majority: number
  readonly #hold = script(holdText)
  readonly #free = script(freeText)
  #takes = 0

  constructor(servers: RedlockServers) {
    this.#servers = servers
    this.#majority = Math.floor(servers.nodes.length / 2) + 1
  }

  /** As `lease` of a config store. */
  async take(name: string, holder: string, ttlMs: number): Promise<Lease | undefined> {
    checkLease(name, holder, ttlMs)
    const { clock } = this.#servers
    const sent = clock.now()
    const vote = this.#vote(name, `${holder}/${++this.#takes}`, ttlMs)
    const outcome = await vote.outcome
    if (outcome !== 'won') {
      void this.#giveBack(vote)
      if (outcome === 'refused') return undefined
      throw outcome
    }
    try {
      const token = await this.#servers.token(name, holder)
      return this.#leaseOf({ name, holder, token, ttlMs }, sent, vote)
    } catch (error) {
      void this.#giveBack(vote)
      throw error
    }
  }

  #leaseOf(terms: LeaseTerms, sent: number, taken: Vote): Lease {
    let last = taken
    const calls = {
      renew: async (): Promise<boolean> => {
        const vote = this.#vote(terms.name, taken.value, terms.ttlMs)
        last = vote
        const outcome = await vote.outcome
        if (outcome instanceof MillraceError) throw outcome
        // Where its time was over meanwhile, another may have had it in between, and has a greater token.
        if (outcome === 'won' && lease.valid()) return true
        void this.#giveBack(vote)
        return false
      },
      release: () => this.#giveBack(last),
    }
    // Nobody but its holder ends it: at stop the locker does.
    const never = new AbortController().signal
    const lease = new HeldLease(terms, this.#servers.clock, sent, calls, never)
    return lease
  }

  #vote(name: string, value: string, ttlMs: number): Vote {
    const { nodes, prefix } = this.#servers
    const key = prefix + name
    const given = [value, Math.ceil(ttlMs)]
    const ask = (redis: Redis) => runScript<number>(redis, this.#hold, [key], given)
    const errors: MillraceError[] = []
    let [granted, refused] = [0, 0]
    const { promise: outcome, resolve: decide } = Promise.withResolvers<Outcome>()
    const count = (): void => {
      if (granted >= this.#majority) decide('won')
      else if (refused > nodes.length - this.#majority) decide('refused')
      else if (granted + refused + errors.length === nodes.length)
        decide(tooFew(name, granted, refused, errors))
    }
    const answers = nodes.map((node) =>
      node
        .call(ask)
        .then(
          ({ reply }) => {
            if (reply === 1) granted++
            else refused++
          },
          (error: MillraceError) => void errors.push(error),
        )
        .then(count),
    )
    return { key, value, outcome, answers }
  }

  /** Deletes it wherever it is still the one of this vote, which each server has answered by then. Never rejects. */
  async #giveBack({ key, value, answers }: Vote): Promise<void> {
    const free = (redis: Redis) => runScript(redis, this.#free, [key], [value])
    await Promise.all(
      this.#servers.nodes.map(async (node, index) => {
        await answers[index]
        // It lapses by itself.
        await node.call(free).catch(() => {})
      }),
    )
  }
}

/** Neither had nor another's. A server that refuses access comes before one that is away: that does not mend itself. */
function tooFew(
  name: string,
  granted: number,
  refused: number,
  errors: readonly MillraceError[],
): MillraceError {
  const worst = errors.find(({ code }) => code !== 'MR_STORE_UNAVAILABLE') ?? errors[0]
  const count = granted + refused + errors.length
  return new MillraceError(
    worst.code,
    `lock ${name}: ${granted} of ${count} servers gave it, ${refused} have given it to another, and ${errors.length} did not say: ${worst.message}`,
    { plugin: 'redlock', cause: worst },
  )
}
