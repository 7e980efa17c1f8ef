/**
 * What takes the place of a plugin whose code must not run and of which there is no other version, so that all else of the
 * config is served. Any options are right.
 *
 * A filter's stand-in fails each exchange, for the filter may be the one that keeps strangers out; `failOpen` skips it, as it
 * would skip the plugin. An algorithm's goes round the available backends, a breaker's is always closed.
 */
import { z } from 'zod'
import type { Algorithm, Backend } from '../contracts/algorithm.ts'
import type { CircuitBreaker } from '../contracts/circuit-breaker.ts'
import type { Filter } from '../contracts/filter.ts'
import type { AnyPlugin, ThreadKind } from '../contracts/plugin.ts'
import { MillraceError } from './errors.ts'

const options = z.unknown()

/** @param name of the plugin that is missing */
export function standIn(kind: ThreadKind, name: string): AnyPlugin {
  const common = { api: 1, name, options } as const
  if (kind === 'filter') return { ...common, kind, create: () => refusing(name) }
  if (kind === 'algorithm') return { ...common, kind, create: () => goingRound() }
  return { ...common, kind, create: () => closed() }
}

function refusing(name: string): Filter {
  return {
    onRequest() {
      const message = `the code of filter ${name} is barred, for it ended data threads again and again`
      throw new MillraceError('MR_PLUGIN_BARRED', message, { plugin: name, hook: 'onRequest' })
    },
  }
}

function goingRound(): Algorithm {
  let backends: readonly Backend[] = []
  let next = 0
  return {
    update(view) {
      backends = view.available
    },
    pick(request) {
      for (let tries = backends.length; tries > 0; tries--) {
        next = next + 1 < backends.length ? next + 1 : 0
        const backend = backends[next]
        if (backend && !request.excluded(backend)) return backend
      }
      return undefined
    },
  }
}

function closed(): CircuitBreaker {
  return { for: () => ({ state: 'closed', tryAcquire: () => 1, settle() {} }) }
}
