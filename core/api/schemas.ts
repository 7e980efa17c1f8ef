/** JSON Schemas that several routes share. Those with an `$id` are components of the OpenAPI document. */

const text = { type: 'string' } as const
const time = { type: 'string', format: 'date-time' } as const
const whole = { type: 'integer' } as const
const anything = { type: 'object', additionalProperties: true } as const

const problem = {
  $id: 'Problem',
  type: 'object',
  required: ['code', 'path', 'message'],
  properties: { code: text, path: text, message: text, hint: text, line: whole, column: whole },
}

const head = {
  $id: 'Revision',
  description: 'A revision of a document: who made it, when, and why.',
  type: 'object',
  required: ['revision', 'id', 'by', 'at', 'bytes', 'removed'],
  properties: {
    revision: { type: 'integer', description: 'From 1, without gaps within one line of history' },
    id: text,
    parent: { type: 'string', description: 'Id of the revision before' },
    by: text,
    message: text,
    at: time,
    bytes: { type: 'integer', description: 'As it is stored: packed' },
    removed: { type: 'boolean' },
  },
}

const error = {
  $id: 'Error',
  type: 'object',
  required: ['code', 'message'],
  properties: {
    code: { type: 'string', description: 'Stable: MR_…' },
    message: { type: 'string', description: 'What was wrong, where, what was expected' },
    path: {
      type: 'string',
      description: 'Of the mistake: in the body or config, query.…, headers.… or path.…',
    },
    hint: text,
    problems: { type: 'array', items: { $ref: 'Problem#' } },
    between: {
      type: 'array',
      items: { $ref: 'Revision#' },
      description: 'Who has written since, the newest first',
    },
    request: { type: 'string', description: 'Millrace-Request-Id' },
  },
}

const changed = {
  $id: 'Changed',
  type: 'object',
  required: ['document', 'revision', 'id', 'before', 'changed'],
  properties: {
    document: { type: 'string', description: 'config, overrides, or node/ID' },
    revision: { type: 'integer', description: 'Of the document now' },
    id: text,
    before: { type: 'integer', description: 'Revision it was made on top of; 0: none' },
    changed: { type: 'boolean', description: 'false: it was so already, and nothing was written' },
  },
}

const decision = {
  service: text,
  backend: text,
  reason: text,
  actor: text,
  since: time,
  until: { type: 'string', format: 'date-time', description: 'When it ends by itself' },
}

const breaker = {
  $id: 'BreakerDecision',
  description: 'Of one backend, or of all of a service.',
  type: 'object',
  required: ['service', 'mode', 'reason', 'actor', 'since'],
  properties: { ...decision, mode: { type: 'string', enum: ['auto', 'open', 'closed'] } },
}

const drain = {
  $id: 'Drain',
  type: 'object',
  required: ['service', 'backend', 'reason', 'actor', 'since'],
  properties: decision,
}

const backend = {
  $id: 'Backend',
  type: 'object',
  required: ['url', 'weight'],
  properties: {
    url: text,
    weight: { type: 'integer', description: '0 takes no new exchanges' },
    zone: text,
    tags: { type: 'array', items: text },
    priority: whole,
    drain: { $ref: 'Drain#' },
    breaker: { $ref: 'BreakerDecision#' },
  },
}

const service = {
  $id: 'Service',
  type: 'object',
  required: ['name', 'backends', 'settings'],
  properties: {
    name: text,
    backends: { type: 'array', items: { $ref: 'Backend#' } },
    settings: { ...anything, description: 'As it stands in the config, without its backends' },
  },
}

const node = {
  $id: 'Node',
  description: 'What a node says of itself, and whether it lives.',
  type: 'object',
  required: ['id', 'live', 'reportedAt'],
  additionalProperties: true,
  properties: {
    id: text,
    live: { type: 'boolean', description: 'Its lease is held; false some seconds after its end' },
    reportedAt: time,
    boot: { type: 'string', description: 'Random, of this start of the process' },
    behind: {
      type: 'integer',
      description: 'Revisions of the config that it does not serve yet, or has refused',
    },
    config: {
      ...anything,
      description: 'applied (what it serves), nack (what it has refused, and why), from, fork, schema',
    },
    overrides: { ...anything, description: 'schema (the newest of the overrides that it reads)' },
  },
}

export const sharedSchemas = [problem, head, error, changed, breaker, drain, backend, service, node]

/** Of a route: what it answers when it is well, and the one form of errors. */
export function answers(ok: Record<number, object>): Record<string, object> {
  const refused = { description: 'Refused; nothing was changed', $ref: 'Error#' }
  return { ...ok, '4xx': refused, '5xx': { description: 'Failed', $ref: 'Error#' } }
}

export const changedAnswer = { description: 'Done', $ref: 'Changed#' }

/** Why: one line, kept in the history. */
export const messageQuery = {
  type: 'object',
  additionalProperties: false,
  properties: {
    message: { type: 'string', maxLength: 1000, pattern: '^[^\\r\\n]*$', description: 'Why: one line' },
  },
}

export interface MessageQuery {
  readonly message?: string
}

export const digits = (description: string, longest = 15) => ({
  type: 'string',
  pattern: `^[0-9]{1,${longest}}$`,
  description,
})

/** Preconditions of a change, for the document; they are read by preconditions.ts. */
export const changeHeaders = {
  type: 'object',
  properties: {
    'if-match': { type: 'string', description: 'Only on top of this revision: its ETag, or its number' },
    'if-none-match': { type: 'string', description: '*: only where nothing was ever written' },
  },
}
