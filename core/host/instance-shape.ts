/** Checks that what `create` returned is an instance of its kind. */
import type { PluginKind } from '../contracts/plugin.ts'
import { closest, didYouMean } from './did-you-mean.ts'

interface Members {
  readonly required: readonly string[]
  readonly optional: readonly string[]
}

/** The members that the core calls, as core/contracts has them. */
const membersOf: Readonly<Record<PluginKind, Members>> = {
  algorithm: { required: ['update', 'pick'], optional: ['settled', 'reconfigure'] },
  'circuit-breaker': { required: ['for'], optional: ['reconfigure'] },
  filter: { required: [], optional: ['onRequest', 'onAttempt', 'onResponse', 'onDone', 'reconfigure'] },
  'health-source': { required: ['update'], optional: [] },
  'config-store': {
    required: [
      'lineage',
      'get',
      'heads',
      'put',
      'history',
      'revision',
      'unannounced',
      'markAnnounced',
      'lease',
      'leases',
    ],
    optional: ['watch'],
  },
  'config-sync': { required: [], optional: ['announce'] },
  election: { required: ['campaign', 'resign'], optional: [] },
  lock: { required: ['acquire'], optional: [] },
  'failure-detector': { required: ['update', 'heard', 'opinion'], optional: [] },
  provisioner: { required: ['start', 'stop', 'list'], optional: [] },
  'metrics-source': { required: ['read'], optional: [] },
  'dns-publisher': { required: ['publish', 'read'], optional: [] },
  vip: { required: ['assign', 'remove', 'assigned'], optional: [] },
}

/**
 * Refuses an instance without a required member, with a member that is no function, or with a function that looks like a
 * misspelt hook: a hook that is never called is a fault nobody would see.
 *
 * @param refuse makes the error
 */
export function checkInstance(kind: PluginKind, instance: unknown, refuse: (message: string) => Error): void {
  const { required, optional } = membersOf[kind]
  const known = [...required, ...optional]
  if (typeof instance !== 'object' || instance === null) {
    throw refuse(
      `returned ${instance === null ? 'null' : typeof instance}; expected an object with ${list(known)}`,
    )
  }
  const members = instance as Readonly<Record<string, unknown>>
  const functions = functionsOf(instance)
  for (const name of known) {
    if (typeof members[name] === 'function') continue
    if (members[name] !== undefined) throw refuse(`returned an instance whose "${name}" is no function`)
    if (!required.includes(name)) continue
    throw refuse(
      `returned an instance without "${name}"${instead(name, functions)}; kind ${kind} has ${list(known)}`,
    )
  }
  const absent = known.filter((name) => members[name] === undefined)
  for (const name of functions) {
    if (known.includes(name)) continue
    // Two functions may have similar names; one that has a hook's name but for a slip, while the hook is absent, is the hook.
    const hook = kind === 'filter' && /^on[A-Z]/.test(name)
    if (!hook && closest(name, absent, 1) === undefined) continue
    throw refuse(
      `returned an instance with "${name}", which is no hook${didYouMean(name, absent)}; kind ${kind} has ${list(known)}`,
    )
  }
}

function instead(missing: string, functions: readonly string[]): string {
  const found = functions.find((name) => closest(name, [missing], 2) !== undefined)
  return found === undefined ? '' : ` (but with "${found}")`
}

/** Names of all functions of an object, those of its classes too. */
function functionsOf(instance: object): string[] {
  const names = new Set<string>()
  for (let at: object | null = instance; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (name !== 'constructor' && typeof property.value === 'function') names.add(name)
    }
  }
  return [...names]
}

function list(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ')
}
