/** The parsed file in its final form: what threads see. Called only when no problem is left. */
import { resolve } from 'node:path'
import type { PemFiles } from './pem-files.ts'
import { type ConfigPath, renderPath } from './problems.ts'
import { distinctNames, normalRoute } from './routes.ts'
import type { FileConfig, RouteFile, ServiceFile } from './schema.ts'
import type {
  ApiConfig,
  ApiToken,
  BackendConfig,
  BackupConfig,
  Bootstrap,
  BreakerUse,
  CertificateConfig,
  FilterUse,
  ListenerConfig,
  PluginSource,
  PluginUse,
  RouteConfig,
  ServiceConfig,
  Snapshot,
  SyncUse,
} from './snapshot.ts'
import { isOff, optionsOf, readBreaker, readFilter, readHealth, readSync, useName } from './uses.ts'

export interface Surroundings {
  /** Folder of the config file, absolute. */
  readonly directory: string
  readonly pems: PemFiles
  readonly plugins: readonly PluginSource[]
  /** Of the API. */
  readonly tokens: readonly ApiToken[]
  /** Data threads when the config does not say. */
  readonly threads: number
}

/** `fleetKey:` as a list. */
export function fleetKeysOf(fleetKey: FileConfig['fleetKey']): readonly string[] {
  return fleetKey === undefined ? [] : [fleetKey].flat()
}

export function normaliseBootstrap(file: FileConfig, around: Surroundings): Bootstrap {
  const { node, admin } = file
  return {
    fleet: file.fleet,
    fleetKeys: fleetKeysOf(file.fleetKey),
    node: {
      id: node.id,
      threads: node.threads ?? around.threads,
      data: resolve(around.directory, node.data),
      advertise: node.advertise,
      zone: node.zone,
    },
    admin: admin ? { host: admin.address.host, port: admin.address.port } : undefined,
    api: file.api && normaliseApi(file.api, around.tokens),
    probing: file.probing,
    plugins: around.plugins,
    store: file.store === undefined ? undefined : pluginUse('config-store', file.store, ['store']),
    sync: normaliseSync(file.sync),
    backup: normaliseBackup(file.backup, around),
  }
}

function normaliseBackup(backup: FileConfig['backup'], around: Surroundings): BackupConfig | undefined {
  if (backup === undefined) return undefined
  const { to, command = '', incremental, full, keep } = backup
  return {
    to:
      to === undefined
        ? { kind: 'command', command }
        : { kind: 'folder', folder: resolve(around.directory, to) },
    ...{ incrementalMs: incremental, fullMs: full, keep },
  }
}

function normaliseApi(
  api: Exclude<FileConfig['api'], false | undefined>,
  tokens: readonly ApiToken[],
): ApiConfig {
  const { host, port } = api.address
  return { host, port, tokens, hosts: api.hosts.flatMap(({ host: name }) => name ?? []) }
}

function normaliseSync(sync: FileConfig['sync']): SyncUse | undefined {
  if (sync === undefined) return undefined
  const { poll, reconcile } = readSync(sync)
  return { ...pluginUse('config-sync', sync, ['sync']), pollMs: poll, reconcileMs: reconcile }
}

/** Revision 0: whoever applies the snapshot counts. */
export function normaliseSnapshot(file: FileConfig, around: Surroundings): Snapshot {
  const { limits, accessLog } = file
  const path = typeof accessLog === 'object' ? resolve(around.directory, accessLog.path) : undefined
  return {
    revision: 0,
    directory: around.directory,
    listeners: Object.entries(file.listeners).map(([name, listener]) =>
      normaliseListener(name, listener, around.pems),
    ),
    limits: {
      head: limits.head,
      fields: limits.fields,
      target: limits.target,
      headTimeoutMs: limits.headTimeout,
      body: limits.body,
      bodyIdleMs: limits.bodyIdle,
      bodyMinRate: limits.bodyMinRate,
      writeStallMs: limits.writeStall,
      keepAliveMs: limits.keepAlive,
      tlsHandshakeMs: limits.tlsHandshake,
      connectionsPerAddress: limits.connectionsPerAddress,
      connections: limits.connections,
    },
    drain: { delayMs: file.drain.delay, timeoutMs: file.drain.timeout },
    trustedProxies: file.trustedProxies.map(({ cidr }) => cidr),
    accessLog: { enabled: accessLog !== false, path },
    ...normaliseDynamic(file, file.listeners, around.pems),
  }
}

/** @param listeners those with routes of their own */
export function normaliseDynamic(
  file: Pick<FileConfig, 'filters' | 'routes' | 'services'>,
  listeners: FileConfig['listeners'],
  pems: PemFiles,
): Pick<Snapshot, 'filters' | 'routes' | 'services'> {
  const services = Object.entries(file.services).map(([name, service]) => [
    name,
    normaliseService(name, service, pems),
  ])
  return {
    filters: normaliseFilters(file.filters, ['filters']),
    routes: normaliseRoutes(file.routes, listeners),
    services: Object.fromEntries(services),
  }
}

function normaliseRoutes(shared: FileConfig['routes'], listeners: FileConfig['listeners']): RouteConfig[] {
  const list = (routes: readonly RouteFile[], path: ConfigPath, listener: string | undefined) =>
    routes.map((route, index) =>
      normalRoute(route, listener, normaliseFilters(route.filters, [...path, index, 'filters'])),
    )
  const own = Object.entries(listeners).flatMap(([name, { routes }]) =>
    list(routes ?? [], ['listeners', name, 'routes'], name),
  )
  return distinctNames([...list(shared, ['routes'], undefined), ...own])
}

function normaliseListener(
  name: string,
  listener: FileConfig['listeners'][string],
  pems: PemFiles,
): ListenerConfig {
  const { address, proxyProtocol, tls, routes } = listener
  const certificates = tls?.certificates.map((entry) => normaliseCertificate(entry, pems)) ?? []
  if (tls?.cert !== undefined && tls.key !== undefined)
    certificates.unshift(
      normaliseCertificate({ cert: tls.cert, key: tls.key, serverNames: tls.serverNames }, pems),
    )
  return {
    name,
    host: address.host,
    port: address.port,
    socketPath: address.socketPath,
    proxyProtocol,
    tls: tls && { certificates, minVersion: tls.minVersion },
    ownRoutes: routes !== undefined,
  }
}

function normaliseCertificate(
  entry: { cert: string; key: string; serverNames: readonly { host: string | undefined }[] },
  pems: PemFiles,
): CertificateConfig {
  const cert = pems.get(entry.cert)
  const key = pems.get(entry.key)
  return {
    cert: cert.text,
    key: key.text,
    certFile: cert.file,
    keyFile: key.file,
    serverNames: entry.serverNames.flatMap(({ host }) => (host === undefined ? [] : [host])),
  }
}

function normaliseService(name: string, service: ServiceFile, pems: PemFiles): ServiceConfig {
  const path = ['services', name]
  const { timeouts, retries, connections, tls, key } = service
  const pem = (value: string | undefined) => (value === undefined ? undefined : pems.get(value).text)
  return {
    name,
    algorithm: pluginUse('algorithm', service.algorithm, [...path, 'algorithm']),
    backends: service.backends.map(normaliseBackend),
    health: normaliseHealth(service.health, [...path, 'health']),
    breaker: normaliseBreaker(service.breaker, [...path, 'breaker']),
    filters: normaliseFilters(service.filters, [...path, 'filters']),
    timeouts: {
      connectMs: timeouts.connect,
      firstByteMs: timeouts.firstByte,
      idleMs: timeouts.idle,
      requestMs: timeouts.request,
    },
    retries: { ...retries, on: [...new Set(retries.on)] },
    connections: {
      max: connections.max,
      idleMs: connections.idle,
      pipelining: connections.pipelining,
      queue: connections.queue,
      queueTimeoutMs: connections.queueTimeout,
    },
    upgrades: [...new Set(service.upgrades)],
    panicThreshold: service.panicThreshold,
    loadBound: typeof service.loadBound === 'number' ? service.loadBound : 0,
    slowStart: normaliseSlowStart(service.slowStart),
    zonePreference: service.zonePreference,
    key,
    host: service.host,
    tls: {
      verify: tls.verify,
      ca: pem(tls.ca),
      serverName: tls.serverName,
      cert: pem(tls.cert),
      key: pem(tls.key),
    },
  }
}

function normaliseSlowStart(slowStart: ServiceFile['slowStart']): ServiceConfig['slowStart'] {
  if (typeof slowStart === 'number') return { windowMs: slowStart, aggression: 1, minimum: 0.1 }
  return { windowMs: slowStart.window, aggression: slowStart.aggression, minimum: slowStart.minimum }
}

function normaliseBackend(backend: ServiceFile['backends'][number]): BackendConfig {
  if (!('weight' in backend)) return { ...backend, weight: 1, zone: '', tags: [], priority: 0 }
  const { url, weight, zone, tags, priority } = backend
  return { ...url, weight, zone, tags, priority }
}

function pluginUse(kind: Parameters<typeof optionsOf>[0], use: unknown, path: ConfigPath): PluginUse {
  return { use: useName(use) ?? '', options: optionsOf(kind, use), path: renderPath(path) }
}

function normaliseBreaker(use: ServiceFile['breaker'], path: ConfigPath): BreakerUse | undefined {
  if (isOff(use)) return undefined
  const { fallback } = readBreaker(use as Parameters<typeof readBreaker>[0])
  return {
    ...pluginUse('circuit-breaker', use, path),
    fallback:
      fallback === undefined || 'service' in fallback
        ? fallback
        : { ...fallback, headers: Object.entries(fallback.headers) },
  }
}

function normaliseHealth(health: ServiceFile['health'], path: ConfigPath): ServiceConfig['health'] {
  if (health === undefined || health === false || isOff(health)) return undefined
  const { interval, timeout, rise, fall, initial } = readHealth(health)
  return {
    ...pluginUse('health-source', health, path),
    intervalMs: interval,
    timeoutMs: timeout,
    rise,
    fall,
    initial,
  }
}

/** Ids: as written, else the name, else name-2, name-3… whichever is free. */
function normaliseFilters(filters: FileConfig['filters'], path: ConfigPath): FilterUse[] {
  const written = filters.flatMap((filter) =>
    typeof filter === 'string' || filter.id === undefined ? [] : [filter.id],
  )
  const taken = new Set(written)
  return filters.map((filter, index) => {
    const { id, failOpen, deadline } = readFilter(filter)
    const use = pluginUse('filter', filter, [...path, index])
    let unique = id ?? use.use
    for (let count = 2; id === undefined && taken.has(unique); count++) unique = `${use.use}-${count}`
    taken.add(unique)
    return { ...use, id: unique, failOpen, deadlineMs: deadline }
  })
}
