import { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { SharedArena } from '../../core/threads/arena.ts'

const code = (run: () => void): object => {
  try {
    run()
  } catch (error) {
    return error as object
  }
  return {}
}

describe('SharedArena', () => {
  test('gives the same memory for the same key, from every end, zero-filled and 8-byte aligned', () => {
    const main = SharedArena.create(1 << 20)
    const thread = SharedArena.attach(main.buffers, 0)
    const a = thread.allocate('service/api/breaker|x', 13, 4)
    expect(a).toEqual(new Uint8Array(16))
    expect(a.byteOffset % 8).toBe(0)
    a[3] = 7
    expect(main.allocate('service/api/breaker|x', 13, 4)[3]).toBe(7)
    expect(main.allocate('service/api/breaker|x', 13, 5)[3]).toBe(0)
    expect(main.allocate('service/api/breaker|y', 13, 4)[3]).toBe(0)
  })

  test('pieces do not overlap', () => {
    const arena = SharedArena.create(4 << 20)
    const pieces = Array.from({ length: 500 }, (_, i) =>
      arena.allocate(`key ${i}`, 8 + ((i * 37) % 700), i % 9),
    )
    pieces.forEach((piece, i) => void piece.fill(i % 251))
    pieces.forEach((piece, i) => {
      expect(piece.every((byte) => byte === i % 251)).toBe(true)
    })
  })

  test('another length is an error, and so is memory that is full', () => {
    const arena = SharedArena.create(1 << 18)
    arena.allocate('a', 64, -1)
    expect(code(() => arena.allocate('a', 72, -1))).toMatchObject({ code: 'MR_SHARED_SIZE' })
    expect(code(() => arena.allocate('b', 1 << 18, -1))).toMatchObject({ code: 'MR_SHARED_FULL' })
    expect(arena.allocate('c', 64, -1)).toHaveLength(64)
  })

  test('what an owner leaves is zeroed and used again', () => {
    const arena = SharedArena.create(1 << 20)
    const kept = arena.allocate('kept', 400, 1).fill(1)
    arena.allocate('gone', 400, 2).fill(2)
    const used = arena.usedBytes
    for (let round = 0; round < 1000; round++) {
      arena.releaseOwners(new Set([2]))
      expect(arena.allocate(`gone ${round % 10}`, 400, 2).fill(2)).toHaveLength(400)
    }
    arena.releaseOwners(new Set([2]))
    expect(arena.allocate('gone', 400, 2)).toEqual(new Uint8Array(400))
    expect(arena.usedBytes).toBe(used)
    expect(kept).toEqual(new Uint8Array(400).fill(1))
    expect(arena.allocate('kept', 400, 1)).toEqual(kept)
  })

  test('releases by key, whoever owns it', () => {
    const arena = SharedArena.create(1 << 20)
    arena.allocate('ä|x', 64, -1)[0] = 1
    arena.allocate('ä|x', 64, 3)[0] = 1
    arena.allocate('b|x', 64, -1)[0] = 1
    arena.releaseKeys((key) => key === 'ä|x')
    expect(arena.allocate('ä|x', 64, -1)[0]).toBe(0)
    expect(arena.allocate('ä|x', 64, 3)[0]).toBe(0)
    expect(arena.allocate('b|x', 64, -1)[0]).toBe(1)
  })

  test('keys of one hash bucket are told apart', () => {
    const arena = SharedArena.create(32 << 20)
    for (let i = 0; i < 40_000; i++) arena.allocate(`k${i}`, 8, -1)[0] = i & 0xff
    for (let i = 0; i < 40_000; i += 97) expect(arena.allocate(`k${i}`, 8, -1)[0]).toBe(i & 0xff)
  })

  test('every size finds its own block again', () => {
    const arena = SharedArena.create(64 << 20)
    const sizes = Array.from({ length: 60 }, (_, i) => Math.floor(1.25 ** i) + 8).filter(
      (size) => size < 4 << 20,
    )
    sizes.forEach((size, i) => void arena.allocate(`k${i}`, size, 1).fill(9))
    const used = arena.usedBytes
    arena.releaseOwners(new Set([1]))
    for (const [i, size] of sizes.entries()) {
      expect(arena.allocate(`k${i}`, size, 1).some((byte) => byte !== 0)).toBe(false)
    }
    expect(arena.usedBytes).toBe(used)
  })

  test('the lock of a dead thread is freed', () => {
    const arena = SharedArena.create(1 << 18)
    new Int32Array(arena.buffers.memory)[0] = 3 + 1
    arena.breakLock(2)
    expect(new Int32Array(arena.buffers.memory)[0]).toBe(4)
    arena.breakLock(3)
    expect(arena.allocate('a', 8, -1)).toHaveLength(8)
  })

  test('threads that allocate at once agree', async () => {
    const arena = SharedArena.create(8 << 20)
    const workers = [0, 1].map((thread) => {
      const worker = new Worker(new URL('./fixtures/arena-worker.ts', import.meta.url), {
        workerData: { buffers: arena.buffers, thread, keys: 2000 },
      })
      onTestFinished(async () => void (await worker.terminate()))
      return new Promise<number[]>((resolve, reject) => worker.once('message', resolve).once('error', reject))
    })
    const [a, b] = await Promise.all(workers)
    expect(a).toEqual(b)
    expect(new Set(a).size).toBe(2000)
  })
})
