/** Millrace as it is in some folder: another revision, or this one with a config of the user's. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Arm } from './arm.ts'
import { benchConfig } from './millrace-config.ts'
import { startMillrace } from './start-millrace.ts'

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
    abilities: ['tls', 'backends'],
    start: (context) =>
      startMillrace(context, {
        ...{ name, cwd: directory },
        command: [process.execPath, join(directory, 'cli/bin.js'), 'lb', '-c', '{config}'],
        config: (addresses) => benchConfig(config ?? defaultConfig, addresses),
      }),
  }
}
