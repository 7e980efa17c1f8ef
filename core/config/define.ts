/** The config as an author writes it, for `.ts` files. */
import type { z } from 'zod'
import type { fileSchema } from './schema.ts'

/** Everything that may stand in a config file, before units are read and defaults are filled in. */
export type ConfigInput = z.input<typeof fileSchema>

/** Types a config written in TypeScript. Returns its argument: plain data, nothing else may be in it. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config
}
