/**
 * A snapshot: the validated, normalised config. Cloneable data, immutable, with every default filled in; times in
 * milliseconds, sizes in bytes, ratios in 0..1. It is all that threads ever see of a config file.
 */

/** A plugin as the config uses it, with the core's slot keys taken out. */
export interface PluginUse {
  readonly use: string
  /** Raw options (JSON), parsed once in each thread by the plugin's own schema. */
  readonly options: Readonly<Record<string, unknown>>
  /** Where it stands in the config, e.g. `services.api.breaker`; for errors. */
  readonly path: string
}

export interface FilterUse extends PluginUse {
  /** Slot keys of filters. `id` is unique within its list: the config's `id`, else the name, else name + `-2`… */
  readonly id: string
  readonly failOpen: boolean
  readonly deadlineMs: number
}

export interface HealthUse extends PluginUse {
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly rise: number
  readonly fall: number
  readonly initial: 'up' | 'down'
}

export interface SyncUse extends PluginUse {
  /** Slot keys: how often the heads are read while the bus is down, and how seldom while it is up. */
  readonly pollMs: number
  readonly reconcileMs: number
}

/** Another service, or an answer. */
export type BreakerFallback =
  | { readonly service: string }
  | {
      readonly status: number
      readonly headers: readonly (readonly [name: string, value: string])[]
      readonly body: string
    }

export interface BreakerUse extends PluginUse {
  /** Slot key: what is given while no backend may be tried. */
  readonly fallback: BreakerFallback | undefined
}

export interface BackendConfig {
  /** Normalised: `http://127.0.0.1:9001`, `https://host:443`, `unix:/run/app.sock`. Identity within the service. */
  readonly url: string
  readonly protocol: 'http' | 'https'
  /** Name or address to connect to; empty for unix sockets. IPv6 without brackets. */
  readonly host: string
  readonly port: number
  /** Absolute path, or empty. */
  readonly socketPath: string
  readonly weight: number
  readonly zone: string
  readonly tags: readonly string[]
  /** Tier; 0 is used first. */
  readonly priority: number
}

export interface ServiceConfig {
  readonly name: string
  readonly algorithm: PluginUse
  readonly backends: readonly BackendConfig[]
  readonly health: HealthUse | undefined
  readonly breaker: BreakerUse | undefined
  readonly filters: readonly FilterUse[]
  readonly timeouts: {
    readonly connectMs: number
    readonly firstByteMs: number
    readonly idleMs: number
    /** Whole exchange; 0 = none. */
    readonly requestMs: number
  }
  readonly retries: {
    readonly attempts: number
    /** Share of active requests that may be retries. */
    readonly budget: number
    readonly bodyBuffer: number
    /** Statuses that are retried as if the backend had failed. */
    readonly on: readonly number[]
  }
  readonly connections: {
    /** Per backend and process; split over threads. */
    readonly max: number
    readonly idleMs: number
    readonly pipelining: number
    readonly queue: number
    readonly queueTimeoutMs: number
  }
  /** Lower case; `h2c` never. */
  readonly upgrades: readonly string[]
  readonly panicThreshold: number
  /** Most that a backend may have in flight, in means of all; 0 = no bound. */
  readonly loadBound: number
  readonly slowStart: {
    /** 0 = none. */
    readonly windowMs: number
    readonly aggression: number
    readonly minimum: number
  }
  /** Whether backends of the node's zone are preferred. */
  readonly zonePreference: boolean
  readonly key: { readonly from: 'client-ip' | 'path' | 'header' | 'cookie'; readonly name: string }
  /** Host sent to backends: undefined = the client's; `backend` = the backend's own host:port; else the name. */
  readonly host: { readonly mode: 'client' | 'backend' | 'fixed'; readonly value: string }
  /** TLS to https backends; PEM text. */
  readonly tls: {
    readonly verify: boolean
    readonly ca: string | undefined
    readonly serverName: string | undefined
    readonly cert: string | undefined
    readonly key: string | undefined
  }
}

export interface RouteConfig {
  /** Stable name: the config's `name`, else a rendering of the match, e.g. `shop.example.com/api`. */
  readonly name: string
  /** undefined: any host. Lower case; a wildcard is kept as `*.example.com`. */
  readonly host: string | undefined
  /** Prefix that matches at segment boundaries; undefined: any. */
  readonly path: string | undefined
  /** undefined: any. */
  readonly methods: readonly string[] | undefined
  /** Name in lower case; value undefined: present. */
  readonly headers: readonly { readonly name: string; readonly value: string | undefined }[]
  /** One or more; a weighted split when more. Weights are integers > 0. */
  readonly services: readonly { readonly service: string; readonly weight: number }[]
  readonly filters: readonly FilterUse[]
  /** Restricts the route to these listeners (a listener's own `routes`); undefined: all listeners without own routes. */
  readonly listener: string | undefined
}

export interface CertificateConfig {
  /** PEM text. */
  readonly cert: string
  readonly key: string
  /** Files they came from (absolute); watched. Empty for inline PEM. */
  readonly certFile: string
  readonly keyFile: string
  /** SNI names this certificate is for; empty: taken from the certificate itself. */
  readonly serverNames: readonly string[]
}

export interface ListenerConfig {
  readonly name: string
  /** Empty for unix sockets. IPv6 without brackets. */
  readonly host: string
  readonly port: number
  readonly socketPath: string
  /** Expects a PROXY protocol v1 or v2 header on each connection. */
  readonly proxyProtocol: boolean
  /** First certificate is the default. */
  readonly tls:
    | { readonly certificates: readonly CertificateConfig[]; readonly minVersion: 'TLSv1.2' | 'TLSv1.3' }
    | undefined
  /** True when the listener has routes of its own and ignores the shared ones. */
  readonly ownRoutes: boolean
}

export interface LimitsConfig {
  readonly head: number
  readonly fields: number
  readonly target: number
  readonly headTimeoutMs: number
  /** 0 = unlimited. */
  readonly body: number
  readonly bodyIdleMs: number
  /** Bytes per second a request body must average after bodyIdleMs; 0 = none. */
  readonly bodyMinRate: number
  readonly writeStallMs: number
  readonly keepAliveMs: number
  readonly tlsHandshakeMs: number
  readonly connectionsPerAddress: number
  readonly connections: number
}

export interface DrainConfig {
  readonly delayMs: number
  readonly timeoutMs: number
}

export interface ApiToken {
  readonly name: string
  readonly role: 'read' | 'operate' | 'admin'
  /** SHA-256 of the token, in hexadecimal. The token itself is kept nowhere. */
  readonly hash: string
}

export interface ApiConfig {
  readonly host: string
  readonly port: number
  /** None: everybody on this machine may do everything. */
  readonly tokens: readonly ApiToken[]
  /** Names, beside localhost and addresses, under which it is called. */
  readonly hosts: readonly string[]
}

/** The half that is fixed at start; a reload that changes it is told that it needs a restart. */
export interface Bootstrap {
  readonly fleet: string
  /** Secrets (`fleetKey`): the first seals messages, all of them are accepted. Empty: none. */
  readonly fleetKeys: readonly string[]
  readonly node: {
    readonly id: string
    readonly threads: number
    readonly data: string
    /** As written: host or host:port. */
    readonly advertise: string
    /** Empty: nowhere in particular. */
    readonly zone: string
  }
  /** undefined: no admin listener. */
  readonly admin: { readonly host: string; readonly port: number } | undefined
  /** `false`: none; undefined: the config does not say. */
  readonly api: ApiConfig | false | undefined
  readonly probing: 'self' | 'orchestrator'
  /** `plugins:` as written; paths made absolute. */
  readonly plugins: readonly PluginSource[]
  /** Where routes, services and filters come from; undefined: from the file. */
  readonly store: PluginUse | undefined
  /** undefined: what suits the store. */
  readonly sync: SyncUse | undefined
  /** undefined: none are made by themselves. */
  readonly backup?: BackupConfig
}

/** Backups that are made by themselves. */
export interface BackupConfig {
  readonly to:
    | { readonly kind: 'folder'; readonly folder: string }
    | { readonly kind: 'command'; readonly command: string }
  readonly incrementalMs: number
  readonly fullMs: number
  /** Full ones that stay. */
  readonly keep: number
}

/** Where plugin code comes from. */
export interface PluginSource {
  /** As written in the config. */
  readonly specifier: string
  readonly kind: 'path' | 'package'
  /** For `path`: absolute path. For `package`: the file URL of the folder to resolve from. */
  readonly location: string
}

/** The half that applies live. */
export interface Snapshot {
  /** Counts up with each applied change; shown by `/metrics` and `/v1/services`. */
  readonly revision: number
  /** Absolute; what relative paths in options of plugins are taken from: the folder of the file, `node.data` where there is a store. */
  readonly directory: string
  readonly listeners: readonly ListenerConfig[]
  readonly limits: LimitsConfig
  readonly drain: DrainConfig
  /** CIDR blocks, normalised. */
  readonly trustedProxies: readonly string[]
  readonly accessLog: { readonly enabled: boolean; readonly path: string | undefined }
  /** Top-level filters. */
  readonly filters: readonly FilterUse[]
  readonly routes: readonly RouteConfig[]
  readonly services: Readonly<Record<string, ServiceConfig>>
}

export interface Config {
  readonly bootstrap: Bootstrap
  readonly snapshot: Snapshot
}
