/** A config file as plain data that still knows where everything stands. */
import type { ErrorCode } from '../host/errors.ts'
import { type Environment, type Expansion, expand, redact } from './expand.ts'
import { type ConfigPath, type Problem, renderPath } from './problems.ts'

export interface Report {
  readonly code: ErrorCode
  readonly message: string
  readonly path: ConfigPath
  readonly suggestion?: string
  /** Underline the key instead of the value. */
  readonly atKey?: boolean
}

/** Base: no positions (a config written in TypeScript). */
export class ConfigDocument {
  readonly problems: Problem[] = []
  readonly warnings: Problem[] = []
  protected readonly used: Expansion['used'][number][] = []
  private readonly silent = new Set<string>()
  readonly file: string
  protected readonly env: Environment
  value: unknown

  constructor(file: string, env: Environment) {
    this.file = file
    this.env = env
  }

  report(report: Report): void {
    const problem = this.place(report)
    if (problem !== undefined) this.problems.push(problem)
  }

  warn(report: Report): void {
    const problem = this.place(report)
    if (problem !== undefined) this.warnings.push(problem)
  }

  /** A problem that is found elsewhere, with its place; undefined where it is the consequence of one that was reported. */
  locate(report: Report): Problem | undefined {
    return this.place(report)
  }

  /** A value for a message: as it stands in the file, so that nothing from the environment shows. */
  show(_path: ConfigPath, value: unknown): string {
    return JSON.stringify(this.redact(String(value)))
  }

  /** Takes values from the environment out of text that was made elsewhere. */
  redact(text: string): string {
    return redact(text, this.used)
  }

  /** Source text of a value; undefined where it is not known. */
  sourceOf(_path: ConfigPath): string | undefined {
    return undefined
  }

  /** Problems at this path from now on are consequences of one that was reported. */
  protected silence(path: ConfigPath): void {
    this.silent.add(renderPath(path))
  }

  protected place(report: Report): Problem | undefined {
    const { code, message, path, suggestion } = report
    if (this.silent.has(renderPath(path))) return undefined
    return {
      code,
      message,
      file: this.file,
      line: 0,
      column: 0,
      path: renderPath(path),
      frame: '',
      suggestion,
    }
  }

  protected expandText(text: string, path: ConfigPath): string {
    if (!text.includes('${')) return text
    const { text: expanded, used, missing, malformed } = expand(text, this.env)
    this.used.push(...used)
    for (const reference of missing) {
      const name = reference.slice(2, -1)
      const message = `the environment variable ${name} is not set`
      this.report({
        code: 'MR_CONFIG_ENV',
        message,
        path,
        suggestion: `a default is written \${${name}:-default}`,
      })
    }
    if (malformed) {
      const message = '`${` starts a reference to an environment variable, and this is none'
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the syntax of the config
      const suggestion = 'expected ${NAME} or ${NAME:-default}; a literal ${ is written $${'
      this.report({ code: 'MR_CONFIG_ENV', message, path, suggestion })
    }
    if (missing.length > 0 || malformed) this.silence(path)
    return expanded
  }
}

/** Data that was made by code: strings are expanded like quoted ones, keys are kept. */
export class DataDocument extends ConfigDocument {
  constructor(file: string, env: Environment, value: unknown) {
    super(file, env)
    this.value = this.copy(value, [])
  }

  private copy(value: unknown, path: ConfigPath): unknown {
    if (typeof value === 'string') return this.expandText(value, path)
    if (Array.isArray(value)) return value.map((item, index) => this.copy(item, [...path, index]))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => [key, this.copy(item, [...path, key])]),
    )
  }
}
