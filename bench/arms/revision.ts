/** Millrace as it is in some folder: another revision, or this one with a config of the user's. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Arm } from './arm.ts'
import { benchConfig } from './millrace-config.ts'
import { freePort, waitUntilReady } from './ready.ts'

const defaultConfig = fileURLToPath(new URL('./revision.yaml', import.meta.url))

export interface RevisionParts {
  readonly name: string
  readonly title: string
  /** A checkout with its packages installed. */
  readonly directory: string
  /** Config; the bench's own when it is left out. */
  readonly config: string | undefined
}

export function revisionArm({ name, title, directory, config }: RevisionParts): Arm {
  return {
    name,
    title,
    async start(context) {
      const port = await freePort(context.random)
      const adminPort = await freePort(context.random)
      const file = join(context.directory, `${name}-${port}.yaml`)
      const data = join(context.directory, `${name}-${port}`)
      const { backendPort } = context
      writeFileSync(file, benchConfig(config ?? defaultConfig, { port, adminPort, backendPort, data }))
      const command = [process.execPath, join(directory, 'cli/bin.js'), 'lb', '-c', file]
      const started = context.processes.start(name, command, { cores: context.cores, cwd: directory })
      await waitUntilReady(started, `http://127.0.0.1:${port}/64`)
      return { started, port, adminPort, setBackends: undefined }
    },
  }
}
