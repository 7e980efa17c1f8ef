/** Changes of single services and backends, as changes of the whole config: pure functions from one to the next. */
import { parseBackendUrl } from '../config/addresses.ts'
import { asList, asMap, type Raw } from '../config/checks.ts'
import { closest } from '../host/did-you-mean.ts'
import { MillraceError } from '../host/errors.ts'
import type { ConfigData } from './config-desk.ts'
import { ApiError } from './errors.ts'

/** A backend as it stands in a service, with the defaults filled in. */
export interface BackendEntry {
  /** Normalised: its identity within the service. */
  readonly url: string
  readonly weight: number
  readonly zone: string
  readonly tags: readonly string[]
  readonly priority: number
}

/** What may be said of a new backend. */
export interface NewBackend {
  readonly url: string
  readonly weight?: number
  readonly zone?: string
  readonly tags?: readonly string[]
  readonly priority?: number
}

export const servicesOf = (data: ConfigData): Raw => asMap(data.services)

/** @throws MR_SERVICE_UNKNOWN */
export function serviceIn(data: ConfigData, name: string): Raw {
  const services = servicesOf(data)
  if (Object.hasOwn(services, name)) return asMap(services[name])
  const names = Object.keys(services)
  const near = closest(name, names)
  const hint = near === undefined ? `services are ${names.join(', ') || 'none'}` : `did you mean ${near}?`
  throw new ApiError('MR_SERVICE_UNKNOWN', `no service is called ${JSON.stringify(name)}`, {
    path: 'path.service',
    hint,
  })
}

/** A text that stands for a backend. @throws MR_BAD_REQUEST */
export function backendUrlOf(text: string, path: string): string {
  const parsed = parseBackendUrl(text)
  if ('url' in parsed) return parsed.url
  throw new ApiError('MR_BAD_REQUEST', parsed.fault, { path, hint: parsed.suggestion })
}

/** The entries of a service that can be understood. */
export function backendsOf(service: Raw): BackendEntry[] {
  return asList(service.backends).flatMap((entry) => {
    const { url, weight = 1, zone = '', tags = [], priority = 0 } = fieldsOf(entry)
    const parsed = parseBackendUrl(String(url))
    if (!('url' in parsed)) return []
    return { url: parsed.url, weight, zone, tags, priority } as BackendEntry
  })
}

/** @throws MR_SERVICE_UNKNOWN, MR_NOT_FOUND */
export function backendIn(data: ConfigData, name: string, url: string): BackendEntry {
  const backends = backendsOf(serviceIn(data, name))
  const found = backends.find((one) => one.url === url)
  if (found) return found
  const known = backends.map((one) => one.url).join(', ')
  throw new ApiError('MR_NOT_FOUND', `service ${name} has no backend ${url}`, {
    path: 'path.backend',
    hint: `it has ${known || 'none'}`,
  })
}

/** @throws MR_BAD_REQUEST */
export function withService(data: ConfigData, name: string, service: unknown): ConfigData {
  // JavaScript has its own meaning for this key, and the schema passes over it.
  if (name === '__proto__')
    throw new ApiError('MR_BAD_REQUEST', 'no service can be called __proto__', { path: 'path.service' })
  return { ...data, services: { ...servicesOf(data), [name]: service } }
}

/** @throws MR_SERVICE_UNKNOWN */
export function withoutService(data: ConfigData, name: string): ConfigData {
  serviceIn(data, name)
  const left = Object.entries(servicesOf(data)).filter(([key]) => key !== name)
  return { ...data, services: Object.fromEntries(left) }
}

/** @throws MR_SERVICE_UNKNOWN, MR_CONFLICT when it is there already */
export function withBackend(data: ConfigData, name: string, backend: NewBackend): ConfigData {
  const service = serviceIn(data, name)
  const url = backendUrlOf(backend.url, 'url')
  if (backendsOf(service).some((one) => one.url === url))
    throw new ApiError('MR_CONFLICT', `service ${name} has the backend ${url} already`, { path: 'url' })
  return withService(data, name, { ...service, backends: [...asList(service.backends), { ...backend, url }] })
}

/** @throws MR_SERVICE_UNKNOWN, MR_NOT_FOUND */
export function withoutBackend(data: ConfigData, name: string, url: string): ConfigData {
  return withEntries(data, name, url, () => [])
}

/** @throws MR_SERVICE_UNKNOWN, MR_NOT_FOUND */
export function withWeight(data: ConfigData, name: string, url: string, weight: number): ConfigData {
  return withEntries(data, name, url, (entry) => [{ ...fieldsOf(entry), weight }])
}

/** Puts something in the place of one entry; all others stay as they were written. */
function withEntries(
  data: ConfigData,
  name: string,
  url: string,
  change: (entry: unknown) => readonly unknown[],
): ConfigData {
  backendIn(data, name, url)
  const service = serviceIn(data, name)
  const backends = asList(service.backends).flatMap((entry) => {
    const parsed = parseBackendUrl(String(fieldsOf(entry).url))
    return 'url' in parsed && parsed.url === url ? change(entry) : [entry]
  })
  return withService(data, name, { ...service, backends })
}

/** A backend is written as its URL, or as a map. */
function fieldsOf(entry: unknown): Raw {
  return typeof entry === 'string' ? { url: entry } : asMap(entry)
}

/** A decision is about a service, or one backend of it. @throws MR_SERVICE_UNKNOWN, MR_OVERRIDE */
export function checkTarget(data: ConfigData, service: string, backend: string | undefined): void {
  const backends = backendsOf(serviceIn(data, service))
  if (backend === undefined || backends.some(({ url }) => url === backend)) return
  const known = backends.map(({ url }) => url).join(', ') || 'none'
  throw new MillraceError('MR_OVERRIDE', `service ${service} has no backend ${backend}; it has ${known}`, {
    path: 'backend',
  })
}
