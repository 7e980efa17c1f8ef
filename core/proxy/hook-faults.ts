/** Faults of filters: how they are told, and what they answer. */
import type { ErrorCode, MillraceError } from '../host/errors.ts'
import type { Exchange } from './exchange.ts'
import type { FilterStep } from './filter-chain.ts'

export type Hook = 'onRequest' | 'onAttempt' | 'onResponse' | 'onDone'

/** What a hook did wrong without a throw. It has no stack: that would be ours. */
export class HookFault {
  readonly code: 'MR_PLUGIN_FAULT' | 'MR_PLUGIN_TIMEOUT'
  /** Follow the name of the hook. */
  readonly words: string

  constructor(code: HookFault['code'], words: string) {
    this.code = code
    this.words = words
  }
}

export function missedDeadline(deadlineMs: number): HookFault {
  return new HookFault('MR_PLUGIN_TIMEOUT', `missed its deadline of ${deadlineMs} ms`)
}

/** A value would be lost, and with an answer in it what was to be refused would be let through. */
export function returnedValue(value: unknown): HookFault {
  const instead = 'to answer, call exchange.respond({ status, headers, body }) in onRequest'
  return new HookFault('MR_PLUGIN_FAULT', `returned ${kindOf(value)}, which is not used; ${instead}`)
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value !== 'object') return `a ${typeof value}`
  const { status } = value as { status?: unknown }
  return typeof status === 'number' ? `an object with the status ${status}` : 'an object'
}

/** Logs a fault; true where the filter is marked `failOpen` and is to be skipped. */
export function faulted(exchange: Exchange, step: FilterStep, hook: Hook, error: unknown): boolean {
  const { use, path, failOpen } = step.use
  const isOurs = error instanceof HookFault
  const words = isOurs ? `: it ${error.words}` : ''
  exchange.plane.pluginFault({
    kind: 'filter',
    plugin: use,
    hook,
    level: 'error',
    message: `filter ${use} failed in ${hook}${failOpen ? ' and was skipped' : ''}${words}`,
    fields: {
      code: isOurs ? error.code : 'MR_PLUGIN_FAULT',
      ...{ plugin: use, hook, path, id: exchange.id },
      cause: isOurs ? error.words : causeOf(error),
    },
  })
  return failOpen
}

function causeOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** What a fault answers: the filter's own refusal (a body over its limit) keeps its status, all else is 500. */
export function faultCode(error: unknown): ErrorCode {
  if (error instanceof HookFault) return error.code
  const code = error instanceof Error ? (error as Partial<MillraceError>).code : undefined
  return code === 'MR_BODY_TOO_LARGE' ? code : 'MR_PLUGIN_FAULT'
}
