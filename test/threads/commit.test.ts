import { describe, expect, test } from 'vitest'
import type { ThreadSnapshot } from '../../core/proxy/thread-snapshot.ts'
import { CommitQueue, transact } from '../../core/threads/commit.ts'
import type { Participant, PrepareReply, Target } from '../../core/threads/thread-link.ts'

const target: Target = { snapshot: {} as ThreadSnapshot, code: { plugins: [], version: '' } }

class FakeThread implements Participant {
  readonly thread: number
  readonly heard: string[] = []
  readonly #reply: PrepareReply | Promise<PrepareReply>
  /** Whether it answers to the second step in time. */
  readonly #answers: boolean

  constructor(thread: number, reply: PrepareReply | Promise<PrepareReply>, answers = true) {
    this.thread = thread
    this.#reply = reply
    this.#answers = answers
  }

  async prepare(): Promise<PrepareReply> {
    this.heard.push('prepare')
    return this.#reply
  }

  async commit(): Promise<boolean> {
    this.heard.push('commit')
    return this.#answers
  }

  async discard(): Promise<boolean> {
    this.heard.push('discard')
    return this.#answers
  }

  async kill(): Promise<void> {
    this.heard.push('kill')
  }
}

describe('transact', () => {
  test('decides after all have prepared and before any commits', async () => {
    const threads = [new FakeThread(0, { type: 'prepared' }), new FakeThread(1, { type: 'prepared' })]
    let atDecision: string[][] = []
    const verdict = await transact(threads, 1, target, () => {
      atDecision = threads.map(({ heard }) => [...heard])
    })
    expect(verdict).toEqual({ outcome: 'committed' })
    expect(atDecision).toEqual([['prepare'], ['prepare']])
    expect(threads.map(({ heard }) => heard)).toEqual([
      ['prepare', 'commit'],
      ['prepare', 'commit'],
    ])
  })

  test('one refusal: nobody commits, all discard, each reason is told once', async () => {
    const problem = { code: 'MR_PLUGIN_OPTIONS', message: 'no' } as const
    const threads = [
      new FakeThread(0, { type: 'refused', problems: [problem] }),
      new FakeThread(1, { type: 'prepared' }),
      new FakeThread(2, { type: 'refused', problems: [{ ...problem }] }),
    ]
    let decided = false
    const verdict = await transact(threads, 1, target, () => {
      decided = true
    })
    expect(verdict).toMatchObject({ outcome: 'refused', problems: [problem] })
    expect(decided).toBe(false)
    expect(threads.map(({ heard }) => heard)).toEqual(Array(3).fill(['prepare', 'discard']))
  })

  test('a death is not waited out by the slow', async () => {
    const slow = new Promise<PrepareReply>(() => {})
    const threads = [new FakeThread(0, slow), new FakeThread(1, { type: 'died' })]
    const verdict = await transact(threads, 1, target, () => {})
    expect(verdict).toMatchObject({ outcome: 'died', problems: [{ code: 'MR_THREAD' }] })
    expect(threads[0].heard).toEqual(['prepare', 'discard'])
  })

  test('a thread that is late refuses; it is ended only when it cannot even discard', async () => {
    const threads = [
      new FakeThread(0, { type: 'late' }),
      new FakeThread(1, { type: 'late' }, false),
      new FakeThread(2, { type: 'prepared' }),
    ]
    const verdict = await transact(threads, 1, target, () => {})
    expect(verdict).toMatchObject({ outcome: 'refused' })
    if (verdict.outcome !== 'committed') await verdict.cleared
    expect(threads.map(({ heard }) => heard.slice(1))).toEqual([
      ['discard'],
      ['discard', 'kill'],
      ['discard'],
    ])
  })

  test('without a thread nothing is committed', async () => {
    expect(await transact([], 1, target, () => {})).toMatchObject({
      outcome: 'died',
      problems: [{ code: 'MR_THREAD' }],
    })
  })

  test('a thread that does not switch in time is ended, and the others serve', async () => {
    const threads = [new FakeThread(0, { type: 'prepared' }, false), new FakeThread(1, { type: 'prepared' })]
    expect(await transact(threads, 1, target, () => {})).toEqual({ outcome: 'committed' })
    expect(threads[0].heard).toEqual(['prepare', 'commit', 'kill'])
    expect(threads[1].heard).toEqual(['prepare', 'commit'])
  })
})

describe('CommitQueue', () => {
  test('one at a time; of those that wait the newest; joins go first', async () => {
    const order: string[] = []
    const gate = Promise.withResolvers<void>()
    const queue = new CommitQueue<string, string>(
      async (change) => {
        order.push(`start ${change}`)
        await gate.promise
        order.push(`end ${change}`)
        return change
      },
      () => 'superseded',
    )
    const all = [queue.change('a'), queue.change('b'), queue.change('c')]
    const joined = queue.join(async () => void order.push('join'))
    gate.resolve()
    expect(await Promise.all(all)).toEqual(['a', 'superseded', 'c'])
    await joined
    expect(order).toEqual(['start a', 'end a', 'join', 'start c', 'end c'])
  })

  test('goes on after a job that throws', async () => {
    const queue = new CommitQueue<string, string>(
      async (change) => {
        if (change === 'bad') throw new Error('bad')
        return change
      },
      () => 'superseded',
    )
    await expect(queue.change('bad')).rejects.toThrow('bad')
    await expect(queue.join(() => Promise.reject(new Error('worse')))).rejects.toThrow('worse')
    expect(await queue.change('good')).toBe('good')
  })
})
