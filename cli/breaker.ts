/** `millrace breaker`: what an operator decides about the breakers of a running LB server, through its admin listener. */
import type { Command } from 'commander'
import { loadConfig } from '../core/config/load.ts'
import type { BreakerRecord, OverridesDocument } from '../core/config/overrides.ts'
import { ConfigError } from '../core/config/problems.ts'
import { type ErrorCode, errorTable, MillraceError } from '../core/host/errors.ts'
import type { BackendState, ServiceState } from '../core/observe/service-state.ts'
import { columns } from './columns.ts'
import { UsageError } from './failure.ts'
import { findConfig, hasUsualConfig } from './load.ts'
import type { Verb } from './main.ts'
import type { Terminal } from './terminal.ts'

const usualUrl = 'http://127.0.0.1:9901'
/** It answers from memory, save the one write to disk of a decision. */
const timeoutMs = 10_000

interface Place {
  readonly url?: string
  readonly config?: string
}

interface Decision extends Place {
  readonly reason: string
  readonly actor?: string
  readonly for?: string
}

type Modes = { readonly trip: 'open'; readonly close: 'closed' }
const modes: Modes = { trip: 'open', close: 'closed' }

export const breaker: Verb = (program, host) => {
  const { terminal } = host
  const verb = program
    .command('breaker')
    .description('see and decide about the circuit breakers of a running LB server')
  placed(verb.command('show [service] [backend]'))
    .description(
      'what is in force for each backend, by whom (the breaker, or an operator who has overruled it), until when and why',
    )
    .action(async (service: string | undefined, backend: string | undefined, place: Place) =>
      show(terminal, await adminOf(terminal, place), service, backend),
    )
  const words = {
    trip: 'hold the breaker of a backend, or of every backend of a service, open: nothing is sent there',
    close: 'hold it closed: it is sent to whatever its breaker says',
  }
  for (const name of ['trip', 'close'] as const)
    placed(verb.command(`${name} <service> [backend]`))
      .description(`${words[name]}; survives a restart`)
      .requiredOption('--reason <text>', 'why: others will ask')
      .option('--actor <name>', 'who decides (default: $USER)')
      .option('--for <duration>', 'until then, e.g. 10m; without it until reset')
      .action((service: string, backend: string | undefined, decision: Decision) =>
        decide(terminal, modes[name], service, backend, decision),
      )
  placed(verb.command('reset <service> [backend]'))
    .description(
      'end what was decided: the breaker is in force again; without a backend for every one of the service',
    )
    .action((service: string, backend: string | undefined, place: Place) =>
      reset(terminal, service, backend, place),
    )
}

const placed = (command: Command): Command =>
  command
    .option('--url <url>', `admin listener (default: of the config, else ${usualUrl})`)
    .option('-c, --config <file>', 'config file that says where the admin listener is')

async function decide(
  terminal: Terminal,
  mode: Modes[keyof Modes],
  service: string,
  backend: string | undefined,
  { reason, actor, for: lasts, ...place }: Decision,
): Promise<void> {
  const admin = await adminOf(terminal, place)
  const { USER, LOGNAME } = terminal.env
  const body = { mode, backend, reason, actor: actor ?? USER ?? LOGNAME ?? 'unknown', for: lasts }
  await ask(admin, breakerPath(service), { method: 'PUT', body: JSON.stringify(body) })
  await show(terminal, admin, service, backend)
}

async function reset(
  terminal: Terminal,
  service: string,
  backend: string | undefined,
  place: Place,
): Promise<void> {
  const admin = await adminOf(terminal, place)
  const query = backend === undefined ? '' : `?backend=${encodeURIComponent(backend)}`
  await ask(admin, breakerPath(service) + query, { method: 'DELETE' })
  await show(terminal, admin, service, backend)
}

const breakerPath = (service: string): string => `/v1/services/${encodeURIComponent(service)}/breaker`

/** One line for each backend. */
async function show(terminal: Terminal, admin: string, service?: string, backend?: string): Promise<void> {
  const { services } = (await ask(admin, '/v1/services')) as { services: readonly ServiceState[] }
  const { breakers } = (await ask(admin, '/v1/overrides')) as OverridesDocument
  const chosen = services.filter(({ name }) => service === undefined || name === service)
  const known = (names: readonly string[]): string => names.join(', ') || 'none'
  if (service !== undefined && chosen.length === 0)
    throw new UsageError(
      `no service is called "${service}"; there are ${known(services.map(({ name }) => name))}`,
    )
  const rows = chosen.flatMap(({ name, backends }) =>
    backends
      .filter(({ url }) => backend === undefined || url === backend)
      .map((one) => [name, one.url, ...inForce(one, recordOf(breakers, name, one.url))]),
  )
  if (backend !== undefined && rows.length === 0) {
    const urls = chosen.flatMap(({ backends }) => backends.map(({ url }) => url))
    throw new UsageError(`service ${service} has no backend ${backend}; it has ${known(urls)}`)
  }
  const table = [['SERVICE', 'BACKEND', 'IN FORCE', 'BY', 'UNTIL', 'BREAKER SAYS', 'REASON'], ...rows]
  for (const line of columns(table)) terminal.out(line)
}

/** One for a backend comes before one for its service. */
function recordOf(
  breakers: readonly BreakerRecord[],
  service: string,
  url: string,
): BreakerRecord | undefined {
  const own = breakers.filter((record) => record.service === service)
  return own.find(({ backend }) => backend === url) ?? own.find(({ backend }) => backend === undefined)
}

/** What holds, by whom, until when, what the breaker says by itself, and why an operator has decided. */
function inForce({ breaker: says, forced }: BackendState, record: BreakerRecord | undefined): string[] {
  if (forced === 'auto') {
    const why = record ? `left to it by ${record.actor}: ${record.reason}` : '-'
    return [says, 'the breaker', record?.until ?? '-', says, why]
  }
  const { actor = 'an operator', reason = '-', until = 'reset', backend } = record ?? {}
  const scope = record && backend === undefined ? ' (whole service)' : ''
  return [forced, `${actor}${scope}`, until, says, reason]
}

/** Base URL, without a slash at its end. */
async function adminOf(terminal: Terminal, { url, config }: Place): Promise<string> {
  if (url !== undefined) {
    const at = /^https?:\/\//.test(url) ? URL.parse(url) : null
    // Not repeated: there is a password in it.
    if (at && (at.username || at.password))
      throw new UsageError(`--url: expected no name and password in it, as in ${usualUrl}`)
    if (!at || at.search || at.hash)
      throw new UsageError(`--url: expected a URL such as ${usualUrl}, not ${url}`)
    return url.replace(/[/?#]+$/, '')
  }
  if (config === undefined && !hasUsualConfig(terminal)) return usualUrl
  const source = findConfig(terminal, config)
  const { admin } = (await loadConfig(source, { env: terminal.env }).catch(unreadable(source.path))).bootstrap
  if (admin === undefined)
    throw new UsageError(`${source.path} has no admin listener (admin: { address: … })`)
  if (admin.port === 0)
    throw new UsageError(
      `${source.path} leaves the port of the admin listener open; say with --url which it is`,
    )
  // A listener for every address takes decisions on loopback only.
  const host = admin.host === '0.0.0.0' ? '127.0.0.1' : admin.host === '::' ? '::1' : admin.host
  return `http://${host.includes(':') ? `[${host}]` : host}:${admin.port}`
}

/** What is wrong there is another matter than the breaker that has to be tripped now. */
const unreadable = (path: string) => (error: unknown) => {
  if (!(error instanceof ConfigError)) throw error
  const what = `${path} has ${error.problems.length} problem(s) (millrace check tells them)`
  throw new UsageError(`${what}: say with --url where the admin listener is, e.g. --url ${usualUrl}`)
}

interface Refusal {
  readonly error?: string
  readonly message?: string
  readonly problems?: readonly { readonly path: string; readonly message: string }[]
}

/** @throws MillraceError: MR_NETWORK when nobody answers, else the code of the refusal */
async function ask(
  admin: string,
  path: string,
  { method = 'GET', body }: RequestInit = {},
): Promise<unknown> {
  const headers = body === undefined ? undefined : { 'content-type': 'application/json' }
  const where = `the admin listener at ${admin}`
  let response: Response
  try {
    response = await fetch(admin + path, { method, body, headers, signal: AbortSignal.timeout(timeoutMs) })
  } catch (error) {
    const { cause, message } = error as Error
    const why = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : message
    throw new MillraceError(
      'MR_NETWORK',
      `${where} does not answer: ${why}; is it running there? (--url, -c)`,
    )
  }
  const answer = (await response.json().catch(() => undefined)) as Refusal | undefined
  // Decisions are answered by the whole document.
  const part = path === '/v1/services' ? 'services' : 'breakers'
  if (response.ok && Array.isArray((answer as Record<string, unknown> | undefined)?.[part])) return answer
  if (response.ok || typeof answer?.message !== 'string' || typeof answer.error !== 'string') {
    const what = `it answered ${method} ${path} with ${response.status}`
    throw new MillraceError(
      'MR_NETWORK',
      `what is at ${admin} is not the admin listener of an LB server: ${what}; millrace up and lb say where that is (--url, -c)`,
    )
  }
  const problems = answer.problems?.map(({ path: at, message }) => `\n  ${at}: ${message}`).join('') ?? ''
  const code = Object.hasOwn(errorTable, answer.error) ? (answer.error as ErrorCode) : 'MR_NETWORK'
  throw new MillraceError(code, `${answer.message}${problems}`)
}
