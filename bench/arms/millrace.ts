import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Arm, type ArmContext, armUrl, type RunningArm, writeConfig } from './arm.ts'
import { freePort, waitUntilReady } from './ready.ts'

/** Installed from its package: what runs is JavaScript. */
export const isPublished = import.meta.url.endsWith('.js')

/** Root of the checkout, or of the package. */
export const repository = fileURLToPath(new URL('../..', import.meta.url))

/** `{config}` stands for the generated file. */
export const defaultMillraceCommand: readonly string[] = [
  process.execPath,
  join(repository, 'cli/bin.js'),
  'lb',
  '-c',
  '{config}',
]

export const millrace: Arm = {
  name: 'millrace',
  title: 'Millrace',
  abilities: ['tls', 'backends'],
  start,
}

/** The same with 8 requests in a row on a backend connection: a service option, so an arm of its own. */
export const millracePipelined: Arm = {
  name: 'millrace-pipelined',
  title: 'Millrace, pipelining: 8',
  abilities: ['tls', 'backends'],
  start: (context) => start({ ...context, pipelining: 8 }),
}

async function start(context: ArmContext): Promise<RunningArm> {
  const port = await freePort(context.random)
  const admin = await freePort(context.random)
  const config = join(context.directory, `millrace-${port}.yaml`)
  const { tls, backendHosts = ['127.0.0.1'] } = context
  const writeBackends = (backends: readonly string[]) => {
    const values = {
      PORT: port,
      TLS: tls ? `, tls: { cert: "${tls.certFile}", key: "${tls.keyFile}" }` : '',
      ADMIN: admin,
      BACKENDS: backends.map((address) => `"http://${address}:${context.backendPort}"`).join(', '),
      THREADS: context.threads,
      PIPELINING: context.pipelining,
      DATA: join(context.directory, `millrace-${port}`),
    }
    renameSync(writeConfig('./millrace.yaml', values, `${config}.new`), config)
  }
  writeBackends(backendHosts)
  // The backend listens on both addresses, so that a second one can come and go.
  const setBackends = (count: 1 | 2) => writeBackends(['127.0.0.1', '127.0.0.2'].slice(0, count))
  const command = context.millraceCommand.map((part) => part.replace('{config}', config))
  const started = context.processes.start('millrace', command, { cores: context.cores, cwd: repository })
  await waitUntilReady(started, armUrl(port, context))
  return { started, port, adminPort: admin, setBackends }
}
