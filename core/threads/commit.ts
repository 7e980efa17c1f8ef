/**
 * The two-phase commit of a snapshot: all threads prepare, then all commit; one refusal or one death before the decision
 * and nothing changes. And the queue in front of it: one change at a time, of those that wait only the newest is done.
 */
import type { ErrorData } from './messages.ts'
import type { Participant, PrepareReply, Target } from './thread-link.ts'

/** Longer than the host allows a plugin for `create`. */
const prepareTimeoutMs = 30_000
/** A thread that cannot switch within this has a blocked event loop and is replaced. */
const commitTimeoutMs = 30_000
/** What a refused snapshot has made is released by its plugins, one after the other; then a thread that hangs is replaced. */
const discardTimeoutMs = 60_000

export type Verdict =
  | { readonly outcome: 'committed' }
  /**
   * `refused`: a thread said why, or did not answer in time. `died`: a thread was lost before it answered; it may be worth
   * another try.
   * `cleared` settles when no thread holds anything of the refused snapshot.
   */
  | {
      readonly outcome: 'refused' | 'died'
      readonly problems: readonly ErrorData[]
      readonly cleared: Promise<void>
    }

/**
 * Brings a snapshot to all participants or to none. `decide` is called once, after every thread has prepared and before
 * any commits: from then on the snapshot is the committed one, also for successors of threads that die meanwhile.
 * @param txn a number never used before
 */
export async function transact(
  participants: readonly Participant[],
  txn: number,
  target: Target,
  decide: () => void,
): Promise<Verdict> {
  const asked = participants.map((participant) => participant.prepare(txn, target, prepareTimeoutMs))
  // The first bad answer decides: with a thread dead there is no point in waiting for the slow ones.
  await firstBadOrAll(asked)
  const replies = await settledSoFar(asked)
  if (replies.length > 0 && replies.every((reply) => reply?.type === 'prepared')) {
    decide()
    await Promise.all(participants.map((participant) => commitOne(participant, txn, target)))
    return { outcome: 'committed' }
  }
  const cleared = Promise.all(participants.map((participant) => discardOne(participant, txn))).then(() => {})
  const refused = replies.some((reply) => reply?.type === 'refused' || reply?.type === 'late')
  const problems = replies.flatMap((reply, index) => problemsOf(reply, participants[index].thread))
  if (participants.length === 0) problems.push({ code: 'MR_THREAD', message: 'every data thread has died' })
  return { outcome: refused ? 'refused' : 'died', problems: distinct(problems), cleared }
}

async function commitOne(participant: Participant, txn: number, target: Target): Promise<void> {
  const answered = await participant.commit(txn, target, commitTimeoutMs)
  if (!answered) await participant.kill()
}

async function discardOne(participant: Participant, txn: number): Promise<void> {
  const answered = await participant.discard(txn, discardTimeoutMs)
  if (!answered) await participant.kill()
}

function firstBadOrAll(asked: readonly Promise<PrepareReply>[]): Promise<unknown> {
  const bad = asked.map(async (reply) => {
    if ((await reply).type !== 'prepared') return
    throw new Error('prepared')
  })
  return Promise.any(bad).catch(() => undefined)
}

/** Answers that are there; undefined for those still awaited. */
function settledSoFar(asked: readonly Promise<PrepareReply>[]): Promise<(PrepareReply | undefined)[]> {
  const nothing = new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))
  return Promise.all(asked.map((reply) => Promise.race([reply, nothing])))
}

function problemsOf(reply: PrepareReply | undefined, thread: number): readonly ErrorData[] {
  if (reply?.type === 'refused') return reply.problems
  if (reply?.type === 'died') {
    return [{ code: 'MR_THREAD', message: `data thread ${thread} died while it prepared the config` }]
  }
  if (reply?.type === 'late') {
    const message = `data thread ${thread} did not prepare the config within ${prepareTimeoutMs / 1000} s`
    return [{ code: 'MR_THREAD', message }]
  }
  return []
}

/** Threads mostly refuse for the same reason. */
function distinct(problems: readonly ErrorData[]): ErrorData[] {
  const seen = new Map(
    problems.map((problem) => [`${problem.code} ${problem.path} ${problem.message}`, problem]),
  )
  return [...seen.values()]
}

/** One job at a time. Of the changes that wait, the newest is done and the others are answered `superseded`. */
export class CommitQueue<Change, Result> {
  readonly #apply: (change: Change) => Promise<Result>
  readonly #superseded: () => Result
  readonly #joins: (() => Promise<void>)[] = []
  #pending: { change: Change; resolve(result: Result): void; reject(error: unknown): void } | undefined
  #running = false

  constructor(apply: (change: Change) => Promise<Result>, superseded: () => Result) {
    this.#apply = apply
    this.#superseded = superseded
  }

  /** Applies the change when its turn comes. */
  change(change: Change): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#pending?.resolve(this.#superseded())
      this.#pending = { change, resolve, reject }
      void this.#run()
    })
  }

  /** Runs the job before any change that waits: a successor of a dead thread takes traffic first. */
  join(job: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#joins.push(() => job().then(resolve, reject))
      void this.#run()
    })
  }

  async #run(): Promise<void> {
    if (this.#running) return
    this.#running = true
    try {
      for (;;) {
        const join = this.#joins.shift()
        if (join) {
          await join()
          continue
        }
        const next = this.#pending
        if (!next) return
        this.#pending = undefined
        await this.#apply(next.change).then(next.resolve, next.reject)
      }
    } finally {
      this.#running = false
    }
  }
}
