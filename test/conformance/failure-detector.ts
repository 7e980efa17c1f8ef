/** Tests of kind `failure-detector`: a few nodes on the kit's network, under its time. */
import { strict as assert } from 'node:assert'
import type { FleetNode, Liveness } from '../../core/contracts/index.ts'
import type { Case } from './case.ts'
import type { Exercise } from './every-kind.ts'
import type { Made, Stage } from './stage.ts'

export interface DetectorFixture {
  /** True (default): it is told of heartbeats by `heard`, one a second. False: it asks by itself, over the network. */
  readonly fed: boolean
}

type Scene = Stage<'failure-detector'>

const beatMs = 1000
const longestMs = 5 * 60_000

class Watchers {
  readonly #stage: Scene
  readonly nodes: FleetNode[]
  readonly made: Made<'failure-detector'>[] = []
  readonly gone = new Set<number>()

  constructor(stage: Scene, nodes: FleetNode[]) {
    this.#stage = stage
    this.nodes = nodes
  }

  static async of(stage: Scene, count = 4): Promise<Watchers> {
    const nodes = Array.from({ length: count }, (_, index): FleetNode => {
      return {
        id: `n-${index}`,
        boot: `boot-${index}`,
        role: 'lb',
        address: `10.0.0.${index}:9901`,
        zone: '',
      }
    })
    const watchers = new Watchers(stage, nodes)
    for (const [index, self] of nodes.entries()) {
      const members = { self, all: () => nodes, watch: () => ({ cancel() {} }) }
      const context = { members, network: stage.hub.network(self), store: undefined }
      const made = await stage.make({ clock: stage.time.clock(index * 4321), seed: index + 1, context })
      made.instance.update(nodes)
      watchers.made.push(made)
    }
    return watchers
  }

  /** Time passes; who is not gone is heard. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += beatMs) {
      await this.#stage.time.advanceAsync(Math.min(beatMs, ms - passed))
      if (this.#stage.fixture.fed === false) continue
      for (const [to, { instance }] of this.made.entries())
        for (const [from, node] of this.nodes.entries())
          if (from !== to && !this.gone.has(from) && !this.gone.has(to)) instance.heard(node.id, node.boot)
    }
  }

  leave(index: number): void {
    this.gone.add(index)
    this.#stage.hub.cut(this.nodes[index].address)
  }

  comeBack(index: number): void {
    this.gone.delete(index)
    this.#stage.hub.heal(this.nodes[index].address)
  }

  /** What the first node thinks of another. */
  of(index: number): Liveness | undefined {
    const opinion = this.made[0].instance.opinion(this.nodes[index].id)
    if (opinion) assert(opinion.suspicion >= 0, `suspicion is ${opinion.suspicion}; expected 0 or more`)
    return opinion?.liveness
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    for (let passed = 0; passed < longestMs && !condition(); passed += beatMs) await this.pass(beatMs)
    assert(condition(), `not within ${longestMs / 1000} s: ${what}`)
  }
}

export const exerciseDetector: Exercise<'failure-detector'> = {
  async use(stage, { instance }) {
    instance.update([{ id: 'n-1', boot: 'b', role: 'lb', address: '10.0.0.1:1', zone: '' }])
    instance.heard('n-1', 'b')
    await stage.time.advanceAsync(30_000)
  },
}

export const detectorCases: readonly Case<'failure-detector'>[] = [
  {
    name: 'nodes that are well stay alive, its own node too; of others there is no opinion',
    async run(stage) {
      const watchers = await Watchers.of(stage)
      await watchers.pass(10 * 60_000)
      for (const index of watchers.nodes.keys()) assert.equal(watchers.of(index), 'alive', `node ${index}`)
      assert.equal(watchers.made[0].instance.opinion('stranger'), undefined)
      watchers.made[0].instance.heard('stranger', 'x')
      assert.equal(watchers.made[0].instance.opinion('stranger'), undefined)
      for (const { told } of watchers.made) assert.deepEqual(told, [], 'told of a change that was none')
    },
  },
  {
    name: 'a node that dies is dead in the end, to all; the others are not; it is told in order',
    async run(stage) {
      const watchers = await Watchers.of(stage)
      await watchers.pass(60_000)
      watchers.leave(2)
      await watchers.until('it is dead', () =>
        watchers.made.every(
          ({ instance }, index) => index === 2 || instance.opinion('n-2')?.liveness === 'dead',
        ),
      )
      assert.deepEqual([watchers.of(0), watchers.of(1), watchers.of(3)], ['alive', 'alive', 'alive'])
      const changes = watchers.made[0].told.flatMap((told) =>
        told.call === 'changed' ? [[told.id, told.opinion.liveness]] : [],
      )
      assert.deepEqual(changes.at(-1), ['n-2', 'dead'])
      assert(changes.every(([id]) => id === 'n-2'))
      await watchers.pass(60_000)
      assert.equal(watchers.of(2), 'dead', 'what is dead stays dead while it is silent')
    },
  },
  {
    name: 'a node that is heard again is alive again, and one of another boot id begins anew',
    async run(stage) {
      const watchers = await Watchers.of(stage)
      await watchers.pass(60_000)
      watchers.leave(2)
      await watchers.until('it is dead', () => watchers.of(2) === 'dead')
      watchers.comeBack(2)
      await watchers.until('it is alive', () => watchers.of(2) === 'alive')
      watchers.leave(3)
      await watchers.until('the other is dead', () => watchers.of(3) === 'dead')
      const [own] = watchers.made
      own.instance.update(
        watchers.nodes.map((node) => (node.id === 'n-3' ? { ...node, boot: 'boot-new' } : node)),
      )
      assert.equal(watchers.of(3), 'alive', 'a restarted node begins as alive')
      own.instance.update(watchers.nodes.slice(0, 3))
      assert.equal(watchers.of(3), undefined, 'left out, not forgotten')
    },
  },
  {
    name: 'convicts nobody for its own stall',
    async run(stage) {
      const watchers = await Watchers.of(stage)
      await watchers.pass(120_000)
      // Its timers are late by two minutes, all at once; then life goes on.
      stage.time.stall(120_000)
      for (const index of watchers.nodes.keys()) assert.notEqual(watchers.of(index), 'dead', `node ${index}`)
      await watchers.pass(5000)
      for (const index of watchers.nodes.keys()) assert.notEqual(watchers.of(index), 'dead', `node ${index}`)
      await watchers.pass(60_000)
      for (const index of watchers.nodes.keys()) assert.equal(watchers.of(index), 'alive', `node ${index}`)
      for (const { told } of watchers.made)
        assert(
          !told.some((each) => each.call === 'changed' && each.opinion.liveness === 'dead'),
          'told that a node is dead',
        )
    },
  },
]
