/** Worlds that end with their test. */
import { expect, onTestFinished } from 'vitest'
import { type Node, World } from './world.ts'

export function begin(seed?: number): World {
  const world = new World(seed)
  onTestFinished(() => world.stop())
  return world
}

/** A node that serves n 1, its bus up. */
export async function following(): Promise<{ world: World; node: Node }> {
  const world = begin()
  await world.put({ n: 1 })
  const node = world.node()
  void node.start()
  await world.pass(50)
  node.engine?.bus('up')
  await world.pass(50)
  expect(node.serves).toEqual({ n: 1 })
  return { world, node }
}
