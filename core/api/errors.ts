/** Errors of the API: one JSON form, with the path of the mistake. */
import type { FastifyError } from 'fastify'
import { ConfigError, type ConfigPath, type Problem, renderPath } from '../config/problems.ts'
import { type ErrorCode, MillraceError, statusOf } from '../host/errors.ts'
import type { HeadView } from './views.ts'

/** One of several mistakes. */
export interface ApiProblem {
  readonly code: ErrorCode
  readonly path: string
  readonly message: string
  readonly hint?: string
  /** In a body of YAML, from 1. */
  readonly line?: number
  readonly column?: number
}

/** What is answered instead of what was asked for. */
export interface ApiErrorBody {
  readonly code: ErrorCode
  /** What was wrong, where, what was expected. */
  readonly message: string
  /** Of the mistake: in the body or in the config, `query.…`, `headers.…` or `path.…`. */
  readonly path?: string
  readonly hint?: string
  /** Every mistake, the first one included, where there may be several. */
  readonly problems?: readonly ApiProblem[]
  /** Who has written since the revision that was expected, the newest first. */
  readonly between?: readonly HeadView[]
  /** For whoever looks for it in the log. */
  readonly request?: string
}

interface ApiErrorDetails {
  readonly path?: string
  readonly hint?: string
  readonly problems?: readonly ApiProblem[]
  readonly between?: readonly HeadView[]
  readonly status?: number
}

/** An error with all that its answer says. */
export class ApiError extends MillraceError {
  readonly details: ApiErrorDetails

  constructor(code: ErrorCode, message: string, details: ApiErrorDetails = {}) {
    super(code, message, { path: details.path })
    this.details = details
  }
}

export interface ErrorAnswer {
  readonly status: number
  readonly body: ApiErrorBody
}

/** Statuses of codes that are no answers elsewhere. */
const statuses: Partial<Record<ErrorCode, number>> = {
  MR_SERVICE_UNKNOWN: 404,
  MR_OVERRIDE: 400,
  MR_STORE_UNAVAILABLE: 503,
  MR_STORE_DENIED: 503,
  MR_STORE_LIMIT: 413,
  MR_STORE_DATA: 500,
  MR_CONFIG_SYNTAX: 400,
}

/** What can be told of an error; undefined: nothing, it is a fault of ours. */
export function answerOf(error: unknown): ErrorAnswer | undefined {
  if (error instanceof ConfigError) return ofConfig(error)
  if (error instanceof ApiError) {
    const { status, ...rest } = error.details
    return {
      status: status ?? statuses[error.code] ?? statusOf(error.code),
      body: { code: error.code, message: error.message, ...rest },
    }
  }
  if (error instanceof MillraceError) {
    const status = statuses[error.code] ?? statusOf(error.code)
    return { status, body: { code: error.code, message: error.message, path: error.path } }
  }
  return ofFramework(error as FastifyError)
}

/** Nobody reads more of them. */
const mostTold = 100

/** A config that is read, but not right, is 422; text that cannot be read is 400. */
function ofConfig({ problems }: ConfigError): ErrorAnswer {
  const [first] = problems
  const isSyntax = problems.every(({ code }) => code === 'MR_CONFIG_SYNTAX')
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
  const told = problems.slice(0, mostTold).map(toldOf)
  return {
    status: isSyntax ? 400 : 422,
    body: {
      code: first?.code ?? 'MR_CONFIG_INVALID',
      message: `${first?.path ? `${first.path}: ` : ''}${first?.message ?? ''}${more}`,
      path: first?.path ?? '',
      hint: first?.suggestion,
      problems: told,
    },
  }
}

function toldOf({ code, path, message, suggestion, line, column }: Problem): ApiProblem {
  return { code, path, message, hint: suggestion, ...(line > 0 ? { line, column } : {}) }
}

type Validation = NonNullable<FastifyError['validation']>[number]

const codes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'MR_BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MR_CONTENT_TYPE',
}

function ofFramework(error: FastifyError): ErrorAnswer | undefined {
  const { validation, validationContext = '', statusCode = 500 } = error
  if (validation && validation.length > 0) {
    const problems = validation.map((one): ApiProblem => {
      const path = pathOf(one, validationContext)
      return { code: 'MR_BAD_REQUEST', path, message: messageOf(one) }
    })
    const [{ path, message }] = problems
    const at = path === '' ? validationContext : path
    return { status: 400, body: { code: 'MR_BAD_REQUEST', message: `${at}: ${message}`, path, problems } }
  }
  const code = codes[error.code]
  if (code !== undefined) return { status: statusOf(code), body: { code, message: error.message } }
  if (statusCode < 400 || statusCode > 499) return undefined
  return { status: statusCode, body: { code: 'MR_BAD_REQUEST', message: error.message } }
}

const places: Readonly<Record<string, string>> = { querystring: 'query', params: 'path', headers: 'headers' }

/** `/breakers/0/mode` in the query → `query.breakers[0].mode`; keys that are missing or unknown are part of the path. */
function pathOf({ instancePath, params, keyword }: Validation, context: string): string {
  const path: (string | number)[] = instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
  const key = keyword === 'required' ? params.missingProperty : params.additionalProperty
  if (typeof key === 'string') path.push(key)
  const place = places[context]
  return renderPath((place === undefined ? path : [place, ...path]) as ConfigPath)
}

function messageOf({ keyword, params, message = 'is not valid' }: Validation): string {
  if (keyword === 'required') return 'is missing'
  if (keyword === 'additionalProperties') return 'is not known here'
  if (keyword === 'enum') return `expected one of ${(params.allowedValues as unknown[]).join(', ')}`
  return message
}
