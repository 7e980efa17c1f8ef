/** The nodes of the fleet: what each serves, what it has refused, and whether it lives. */
import type { FastifyInstance } from 'fastify'
import { nodePrefix } from '../config/sync/node-lease.ts'
import { putSettled, type WriteDeps } from '../config/sync/put.ts'
import { overtaken, unsettled } from '../config/sync/store-overrides.ts'
import { configDocument } from '../config/sync/value.ts'
import type { ConfigStore, Document } from '../contracts/config-store.ts'
import { type ChangedView, changedAnswerOf } from './answers.ts'
import { ApiError } from './errors.ts'
import { type Answering, type Asked, actorOf } from './request.ts'
import { answers, changedAnswer } from './schemas.ts'
import { timeOf } from './views.ts'

/** Records that are read at the same time. */
const atOnce = 16

export type NodeView = Readonly<Record<string, unknown>> & { readonly id: string }

export interface NodeRouteDeps extends WriteDeps {
  readonly store: ConfigStore
}

interface OfNode {
  Params: { node: string }
}

const params = {
  type: 'object',
  properties: { node: { type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' } },
}

export function nodeRoutes(app: FastifyInstance, deps: NodeRouteDeps): void {
  const { store } = deps
  app.get('/v1/nodes', {
    schema: {
      summary: 'Every node that has ever reported, with what it serves and has refused',
      tags: ['nodes'],
      response: answers({
        200: {
          description: 'Nodes, by id',
          type: 'object',
          required: ['nodes'],
          properties: { nodes: { type: 'array', items: { $ref: 'Node#' } } },
        },
      }),
    },
    async handler() {
      const heads = await store.heads(nodePrefix)
      const names = heads.filter(({ tombstone }) => !tombstone).map(({ document }) => document)
      return { nodes: await readNodes(store, names) }
    },
  })
  app.get<OfNode>('/v1/nodes/:node', {
    schema: {
      summary: 'One node',
      tags: ['nodes'],
      params,
      response: answers({ 200: { description: 'The node', $ref: 'Node#' } }),
    },
    async handler(request) {
      const { node } = request.params
      const [found] = await readNodes(store, [`${nodePrefix}${node}`])
      if (found) return found
      throw unheardOf(node)
    },
  })
  app.delete<OfNode>('/v1/nodes/:node', {
    config: { role: 'operate' },
    schema: {
      summary: 'Removes the record of a node that is gone for good',
      description: 'One that lives is refused; one that comes back writes its record anew.',
      tags: ['nodes'],
      params,
      response: answers({ 200: changedAnswer }),
    },
    handler: (request, reply) => remove(deps, request, reply, request.params.node),
  })
}

const unheardOf = (node: string): ApiError =>
  new ApiError('MR_NOT_FOUND', `no node ${node} has ever reported`, { path: 'path.node' })

async function remove(
  deps: NodeRouteDeps,
  request: Asked,
  reply: Answering,
  node: string,
): Promise<ChangedView> {
  const { store } = deps
  const document = `${nodePrefix}${node}`
  const head = await store.get(document, { fresh: true })
  if (!head || head.tombstone) throw unheardOf(node)
  const lease = (await store.leases(document)).find(({ name }) => name === document)
  if (lease)
    throw new ApiError('MR_CONFLICT', `node ${node} lives: ${lease.holder} holds its lease`, {
      path: 'path.node',
      hint: 'stop it, and try again some seconds later',
    })
  const note = { by: actorOf(request).name, message: `removed: the node ${node} is gone` }
  const result = await putSettled(deps, document, null, head.revision, note)
  if (result.status === 'unknown') throw unsettled(document, result.cause)
  // Whoever wrote it meanwhile is not gone.
  if (result.status === 'conflict') throw overtaken(document)
  const { revision } = result
  return changedAnswerOf(request, reply, document, { revision, before: head.revision.number, changed: true })
}

async function readNodes(store: ConfigStore, names: readonly string[]): Promise<NodeView[]> {
  const [leases, config] = await Promise.all([store.leases(nodePrefix), store.heads(configDocument)])
  const live = new Set(leases.map(({ name }) => name))
  const newest = config.find(({ document }) => document === configDocument)?.revision.number ?? 0
  const nodes: NodeView[] = []
  for (let from = 0; from < names.length; from += atOnce) {
    const documents = await Promise.all(names.slice(from, from + atOnce).map((name) => store.get(name)))
    for (const document of documents)
      if (document?.value) nodes.push(nodeView(document, live.has(document.document), newest))
  }
  return nodes
}

function nodeView(document: Document, live: boolean, newest: number): NodeView {
  const record = recordIn(document.value)
  const applied = (record.config as { applied?: { number?: unknown } | null } | undefined)?.applied?.number
  return {
    ...record,
    id: document.document.slice(nodePrefix.length),
    live,
    reportedAt: timeOf(document.at),
    behind: Math.max(0, newest - (typeof applied === 'number' ? applied : 0)),
  }
}

/** What cannot be read is nothing: another version may have written it. */
export function recordIn(value: Uint8Array | null): Readonly<Record<string, unknown>> {
  try {
    const data: unknown = JSON.parse(Buffer.from(value ?? []).toString())
    return typeof data === 'object' && data !== null && !Array.isArray(data) ? { ...data } : {}
  } catch {
    return {}
  }
}
