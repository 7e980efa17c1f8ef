/** Starts an LB server with a config that was made for its ports. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ArmContext, armUrl, fileNameOf, type RunningArm } from './arm.ts'
import type { ConfigAddresses } from './millrace-config.ts'
import { faultAnswer, faultIn } from './plugin-fault.ts'
import { freePort, OtherStatusError, waitUntilReady } from './ready.ts'

export interface MillraceParts {
  /** Of the arm; of its files as far as a file can be called so. */
  readonly name: string
  /** `{config}` stands for the generated file. */
  readonly command: readonly string[]
  readonly cwd: string
  /** Status that it answers with; the backend's 200 when left out. */
  readonly expect?: number
  config(addresses: ConfigAddresses): string
}

export async function startMillrace(context: ArmContext, parts: MillraceParts): Promise<RunningArm> {
  const port = await freePort(context.random)
  const adminPort = await freePort(context.random)
  const base = join(context.directory, `${fileNameOf(parts.name)}-${port}`)
  const { backendPort, backendHosts, tls } = context
  const addresses = { port, adminPort, backendPort, backendHosts, tls, data: base }
  writeFileSync(`${base}.yaml`, parts.config(addresses))
  const command = parts.command.map((part) => part.replace('{config}', `${base}.yaml`))
  const { cores } = context
  const started = context.processes.start(fileNameOf(parts.name), command, { cores, cwd: parts.cwd })
  const { headers } = context
  const { expect } = parts
  const wanted = { headers, status: expect, except: faultAnswer }
  await waitUntilReady(started, armUrl(port, context), wanted).catch((error: unknown) => {
    if (error instanceof OtherStatusError) error.reason = faultIn(started.log)
    throw error
  })
  const fault = (): string | undefined => faultIn(started.log)
  return { started, port, adminPort, setBackends: undefined, expect, fault }
}
