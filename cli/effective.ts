/** A loaded config, written back as a config file with every default filled in: what is really in force. */

import { hidden, withoutSecrets } from '../core/config/secrets.ts'
import type {
  BackendConfig,
  BackupConfig,
  BreakerFallback,
  Config,
  FilterUse,
  ListenerConfig,
  PluginUse,
  RouteConfig,
  ServiceConfig,
} from '../core/config/snapshot.ts'

type Plain = Readonly<Record<string, unknown>>

const durationUnits: readonly (readonly [string, number])[] = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
]

/** `90000` → `90s`, `250` → `250ms`: the largest unit that leaves a whole number. */
export function durationText(ms: number): string {
  for (const [unit, size] of durationUnits) if (ms >= size && ms % size === 0) return `${ms / size}${unit}`
  return ms === 0 ? '0s' : `${ms}ms`
}

export function sizeText(bytes: number): string {
  if (bytes > 0 && bytes % 1024 ** 2 === 0) return `${bytes / 1024 ** 2}MiB`
  if (bytes > 0 && bytes % 1024 === 0) return `${bytes / 1024}KiB`
  return `${bytes}B`
}

/** Percent, without the noise of binary fractions. */
const ratioText = (ratio: number): string => `${Number((ratio * 100).toPrecision(12))}%`

/** `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/lb.sock`. */
export function addressText({
  host,
  port,
  socketPath,
}: {
  host: string
  port: number
  socketPath?: string
}): string {
  if (socketPath) return `unix:${socketPath}`
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

const filled = (value: Plain): Plain =>
  Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined))

/** A certificate or key is named by its file; text is not repeated, a key above all. */
const pemText = (file: string): string => (file === '' ? '(PEM text)' : file)

/** `name`, or `{ use: name, …options }`. */
function useText({ use, options }: PluginUse, slots: Plain = {}): unknown {
  const rest = { ...slots, ...options }
  return Object.keys(rest).length === 0 ? use : { use, ...rest }
}

const filterText = (filter: FilterUse): unknown =>
  useText(filter, { id: filter.id, failOpen: filter.failOpen, deadline: durationText(filter.deadlineMs) })

/** A service, or an answer. */
export const fallbackText = (fallback: BreakerFallback): Plain =>
  'service' in fallback ? fallback : { ...fallback, headers: Object.fromEntries(fallback.headers) }

function routeText(route: RouteConfig): Plain {
  const headers = route.headers.map(({ name, value }) => [name, value ?? true])
  const match = filled({
    host: route.host,
    path: route.path,
    method: route.methods,
    headers: headers.length > 0 ? Object.fromEntries(headers) : undefined,
  })
  const [first, ...others] = route.services
  return filled({
    name: route.name,
    match,
    service: others.length === 0 ? first.service : route.services,
    filters: route.filters.map(filterText),
  })
}

/** A route without a name of its own is called after its match, which may not be writable as a name. */
function routeTexts(routes: readonly RouteConfig[], listener: string | undefined): Plain[] {
  return routes
    .filter((route) => route.listener === listener)
    .map((route) => {
      const { name, ...rest } = routeText(route)
      return /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(String(name)) ? { name, ...rest } : rest
    })
}

function listenerText(listener: ListenerConfig, routes: readonly RouteConfig[]): Plain {
  const [first, ...others] = (listener.tls?.certificates ?? []).map((certificate) => ({
    cert: pemText(certificate.certFile),
    key: pemText(certificate.keyFile),
    serverNames: certificate.serverNames,
  }))
  return filled({
    address: addressText(listener),
    proxyProtocol: listener.proxyProtocol,
    tls: listener.tls && { ...first, certificates: others, minVersion: listener.tls.minVersion },
    routes: listener.ownRoutes ? routeTexts(routes, listener.name) : undefined,
  })
}

const backendText = ({ url, weight, zone, tags, priority }: BackendConfig): Plain => ({
  url,
  weight,
  zone,
  tags,
  priority,
})

function serviceText(service: ServiceConfig): Plain {
  const { timeouts, retries, connections, health, breaker, key, host, tls } = service
  const probe = health && {
    interval: durationText(health.intervalMs),
    timeout: durationText(health.timeoutMs),
    rise: health.rise,
    fall: health.fall,
    initial: health.initial,
  }
  return {
    algorithm: useText(service.algorithm),
    backends: service.backends.map(backendText),
    health: health ? useText(health, probe) : 'off',
    breaker: breaker
      ? useText(breaker, breaker.fallback && { fallback: fallbackText(breaker.fallback) })
      : 'off',
    filters: service.filters.map(filterText),
    timeouts: {
      connect: durationText(timeouts.connectMs),
      firstByte: durationText(timeouts.firstByteMs),
      idle: durationText(timeouts.idleMs),
      request: durationText(timeouts.requestMs),
    },
    retries: {
      attempts: retries.attempts,
      budget: ratioText(retries.budget),
      bodyBuffer: sizeText(retries.bodyBuffer),
      on: retries.on,
    },
    connections: {
      max: connections.max,
      idle: durationText(connections.idleMs),
      pipelining: connections.pipelining,
      queue: connections.queue,
      queueTimeout: durationText(connections.queueTimeoutMs),
    },
    upgrades: service.upgrades,
    panicThreshold: ratioText(service.panicThreshold),
    loadBound: service.loadBound > 0 ? service.loadBound : 'off',
    slowStart: {
      window: durationText(service.slowStart.windowMs),
      aggression: service.slowStart.aggression,
      minimum: ratioText(service.slowStart.minimum),
    },
    zonePreference: service.zonePreference,
    key: key.name === '' ? key.from : `${key.from}:${key.name}`,
    host: host.mode === 'fixed' ? host.value : host.mode,
    tls: filled({
      verify: tls.verify,
      ca: tls.ca && pemText(''),
      serverName: tls.serverName,
      cert: tls.cert && pemText(''),
      key: tls.key && pemText(''),
    }),
  }
}

/**
 * The config as plain data that its schema would read again, save certificates that were given as text, and secrets.
 * @param redact puts references back for values from the environment
 */
export function effectiveConfig(config: Config, redact: (text: string) => string = String): Plain {
  return withoutSecrets(everything(config), redact) as Plain
}

/** A command may hold anything of the environment, and in any place. */
function backupText({ to, incrementalMs, fullMs, keep }: BackupConfig): Plain {
  return {
    ...(to.kind === 'folder' ? { to: to.folder } : { command: hidden }),
    incremental: durationText(incrementalMs),
    full: durationText(fullMs),
    keep,
  }
}

function storeTexts({ store, sync, backup }: Config['bootstrap']): Plain {
  return {
    ...(backup && { backup: backupText(backup) }),
    ...(store && { store: { use: store.use, ...store.options } }),
    ...(sync && {
      sync: {
        use: sync.use,
        ...sync.options,
        poll: durationText(sync.pollMs),
        reconcile: durationText(sync.reconcileMs),
      },
    }),
  }
}

/** Of a token only a hash is known, and nobody needs that. */
function apiText(api: Config['bootstrap']['api']): Plain {
  if (!api) return api === false ? { api } : {}
  const tokens = api.tokens.map(({ name, role }) => ({ name, role, token: hidden }))
  return { api: { address: addressText(api), tokens, hosts: api.hosts } }
}

function everything({ bootstrap, snapshot }: Config): Plain {
  const { limits, drain, accessLog, routes } = snapshot
  return {
    fleet: bootstrap.fleet,
    ...(bootstrap.fleetKeys.length > 0 && { fleetKey: hidden }),
    node: bootstrap.node,
    admin: bootstrap.admin ? { address: addressText(bootstrap.admin) } : false,
    ...apiText(bootstrap.api),
    plugins: bootstrap.plugins.map((source) => (source.kind === 'path' ? source.location : source.specifier)),
    probing: bootstrap.probing,
    ...storeTexts(bootstrap),
    trustedProxies: snapshot.trustedProxies,
    limits: {
      head: sizeText(limits.head),
      fields: limits.fields,
      target: sizeText(limits.target),
      headTimeout: durationText(limits.headTimeoutMs),
      body: sizeText(limits.body),
      bodyIdle: durationText(limits.bodyIdleMs),
      bodyMinRate: `${sizeText(limits.bodyMinRate)}/s`,
      writeStall: durationText(limits.writeStallMs),
      keepAlive: durationText(limits.keepAliveMs),
      tlsHandshake: durationText(limits.tlsHandshakeMs),
      connectionsPerAddress: limits.connectionsPerAddress,
      connections: limits.connections,
    },
    drain: { delay: durationText(drain.delayMs), timeout: durationText(drain.timeoutMs) },
    accessLog:
      accessLog.enabled && accessLog.path !== undefined ? { path: accessLog.path } : accessLog.enabled,
    listeners: Object.fromEntries(
      snapshot.listeners.map((listener) => [listener.name, listenerText(listener, routes)]),
    ),
    filters: snapshot.filters.map(filterText),
    routes: routeTexts(routes, undefined),
    services: Object.fromEntries(
      Object.values(snapshot.services).map((service) => [service.name, serviceText(service)]),
    ),
  }
}
