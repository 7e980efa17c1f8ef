/** What a verb sees of the process that it runs in, so that a test can put another in its place. */
import { styleText } from 'node:util'

export type Style = Parameters<typeof styleText>[0]

export interface Terminal {
  /** Result of the command: one or more whole lines to standard output. */
  out(text: string): void
  /** Everything else: whole lines to standard error. */
  err(text: string): void
  /** Styled for standard error; plain where that is no terminal or `NO_COLOR` is set. */
  style(style: Style, text: string): string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Working directory. */
  readonly directory: string
}

export function processTerminal(): Terminal {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // `millrace schema | head`: the reader has seen enough.
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  return {
    out: (text) => process.stdout.write(`${text}\n`),
    err: (text) => process.stderr.write(`${text}\n`),
    style: (style, text) => styleText(style, text, { stream: process.stderr }),
    env: process.env,
    directory: process.cwd(),
  }
}
