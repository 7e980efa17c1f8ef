/** Every error the project reports, in one table: stable code → what it means and, for answers, its status. Errors are
 * data: tests and users go by `code`; messages may be reworded. */

export const errorTable = {
  // config (exit status 2)
  MR_CONFIG_READ: { text: 'The config file cannot be read' },
  MR_CONFIG_SYNTAX: { text: 'The config file is not valid YAML or JSON' },
  MR_CONFIG_INVALID: { text: 'A value in the config is wrong' },
  MR_CONFIG_UNKNOWN_KEY: { text: 'A key is not known' },
  MR_CONFIG_REFERENCE: { text: 'A name refers to something that does not exist' },
  MR_CONFIG_DUPLICATE: { text: 'Two entries mean the same' },
  MR_CONFIG_ENV: { text: 'An environment variable is not set' },
  MR_CONFIG_RESTART: { text: 'A changed setting takes effect only after a restart' },
  MR_CONFIG_FILE: { text: 'A file named in the config cannot be read' },
  // plugins
  MR_PLUGIN_UNKNOWN: { text: 'No plugin of this kind has the name' },
  MR_PLUGIN_LOAD: { text: 'A plugin module cannot be loaded' },
  MR_PLUGIN_VERSION: { text: 'A plugin package is made for another version of millrace' },
  MR_PLUGIN_SHAPE: { text: 'A plugin module does not export a plugin' },
  MR_PLUGIN_DUPLICATE: { text: 'Two plugins of one kind have the same name' },
  MR_PLUGIN_OPTIONS: { text: 'The options of a plugin are wrong' },
  MR_PLUGIN_CREATE: { text: 'A plugin threw in create' },
  MR_PLUGIN_TIMEOUT: { text: 'A plugin did not finish in time', status: 500 },
  MR_PLUGIN_FAULT: { text: 'A plugin threw, or did what it must not', status: 500 },
  MR_PLUGIN_BARRED: { text: 'This version of a plugin has ended data threads again and again' },
  MR_PLUGIN_RELEASE: { text: 'A plugin threw while it was being released' },
  MR_SHARED_SIZE: { text: 'Shared memory of this name has another length' },
  MR_SHARED_FULL: { text: 'The shared table is full' },
  MR_HEADER_INVALID: { text: 'A header name or value is not allowed' },
  MR_TARGET_INVALID: { text: 'A request target is not allowed' },
  MR_SERVICE_UNKNOWN: { text: 'No service has the name' },
  // stores and the control plane
  MR_STORE_UNAVAILABLE: { text: 'The config store cannot be asked' },
  MR_STORE_DENIED: { text: 'The config store refuses access' },
  MR_STORE_LIMIT: { text: 'A name or value is not allowed in the config store' },
  MR_STORE_FORK: { text: 'The config store has lost writes, or another one stands in its place' },
  MR_STORE_DATA: { text: 'What the config store holds cannot be understood' },
  MR_STORE_SCHEMA: { text: 'A node of the fleet could not read what was to be written', status: 409 },
  MR_BACKUP: { text: 'A backup cannot be made, or cannot be used' },
  MR_NETWORK: { text: 'A node of the fleet cannot be reached' },
  MR_FENCED: { text: 'Another holds the right to do this' },
  MR_PROVISION: { text: 'A node cannot be started or stopped' },
  MR_METRICS: { text: 'A source of metrics cannot be asked' },
  MR_DNS_REFUSED: { text: 'The DNS refuses a change' },
  MR_VIP: { text: 'A virtual address cannot be set' },
  // answers of the LB API
  MR_UNAUTHORIZED: { text: 'No valid token came with the request', status: 401 },
  MR_FORBIDDEN: { text: 'The token, or where the request comes from, does not allow it', status: 403 },
  MR_NOT_FOUND: { text: 'There is no such resource', status: 404 },
  MR_CONFLICT: { text: 'It is there already, or others kept writing', status: 409 },
  MR_REVISION_STALE: { text: 'Others have written since the revision that was expected', status: 412 },
  MR_CONTENT_TYPE: { text: 'A body of this content type is not read', status: 415 },
  MR_REVISION_NEEDED: { text: 'A change has to say on top of which revision it is made', status: 428 },
  MR_INTERNAL: { text: 'The answer could not be made', status: 500 },
  // start and threads
  MR_OVERRIDE: { text: 'What an operator decided cannot be' },
  MR_USAGE: { text: 'The command line makes no sense' },
  MR_PACKAGE_MISSING: { text: 'A package that this command needs is not installed' },
  MR_BENCH_FILE: { text: 'A file of measurements cannot be used' },
  MR_NODE_VERSION: { text: 'Node.js is too old' },
  MR_LISTEN: { text: 'A listener cannot be opened' },
  MR_TLS: { text: 'A certificate or its key cannot be used' },
  MR_THREAD: { text: 'A data thread died' },
  MR_UNCAUGHT: { text: 'An error that nobody caught has ended the process' },
  // answers of our own
  MR_BAD_REQUEST: { text: 'The request is malformed', status: 400 },
  MR_REQUEST_TIMEOUT: { text: 'The request did not arrive in time', status: 408 },
  MR_BODY_TOO_LARGE: { text: 'The request body is too large', status: 413 },
  MR_TARGET_TOO_LONG: { text: 'The request target is too long', status: 414 },
  MR_EXPECTATION: { text: 'The expectation cannot be met', status: 417 },
  MR_HEAD_TOO_LARGE: { text: 'The request head is too large', status: 431 },
  MR_NOT_IMPLEMENTED: { text: 'The transfer coding or method is not supported', status: 501 },
  MR_HTTP_VERSION: { text: 'The HTTP version is not supported', status: 505 },
  MR_NO_ROUTE: { text: 'No route matches', status: 404 },
  MR_NO_BACKEND: { text: 'No backend is available', status: 503 },
  MR_QUEUE_FULL: { text: 'The queue of the service is full', status: 503 },
  MR_QUEUE_TIMEOUT: { text: 'No connection became free in time', status: 503 },
  MR_OVERLOADED: { text: 'Too many connections', status: 503 },
  MR_CONNECT: { text: 'The backend cannot be reached', status: 502 },
  MR_CONNECT_TIMEOUT: { text: 'The backend did not accept a connection in time', status: 504 },
  MR_UPSTREAM_CLOSED: { text: 'The backend closed the connection before it answered', status: 502 },
  MR_UPSTREAM_INVALID: { text: 'The backend sent an invalid answer', status: 502 },
  MR_FIRST_BYTE_TIMEOUT: { text: 'The backend did not answer in time', status: 504 },
  MR_UPSTREAM_IDLE: { text: 'The backend stopped sending', status: 504 },
  MR_DEADLINE: { text: 'The request took too long', status: 504 },
} as const satisfies Record<`MR_${string}`, { text: string; status?: number }>

export type ErrorCode = keyof typeof errorTable

export interface ErrorDetails {
  readonly plugin?: string
  readonly hook?: string
  readonly path?: string
  readonly cause?: unknown
}

/** An error of ours. `message` says what was wrong, where, and what was expected. */
export class MillraceError extends Error {
  readonly code: ErrorCode
  readonly plugin: string | undefined
  readonly hook: string | undefined
  readonly path: string | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'MillraceError'
    this.code = code
    this.plugin = details.plugin
    this.hook = details.hook
    this.path = details.path
  }
}

/** Status of our own answer for a code; 500 where the table has none. */
export function statusOf(code: ErrorCode): number {
  const entry: { text: string; status?: number } = errorTable[code]
  return entry.status ?? 500
}
