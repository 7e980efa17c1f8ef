/** Short ways to a config and to its problems. */

import { type LoadDeps, type LoadedConfig, loadConfig } from '#core/config/load'
import { ConfigError, type Problem } from '#core/config/problems'

/** A listener, for configs that are about something else. */
export const web = 'listeners: { web: { address: "127.0.0.1:0" } }\n'

export interface Options extends Partial<LoadDeps> {
  readonly name?: string
  readonly directory?: string
}

export function load(text: string, options: Options = {}): Promise<LoadedConfig> {
  const { name = 'lb.yaml', directory = '/nowhere', env = {}, ...deps } = options
  return loadConfig({ text, name, directory }, { env, threads: 1, ...deps })
}

/** Every problem of a text; fails when there is none, or when something else is thrown. */
export async function problemsOf(text: string, options: Options = {}): Promise<readonly Problem[]> {
  return await problemsIn(load(text, options))
}

export async function problemsIn(loading: Promise<unknown>): Promise<readonly Problem[]> {
  const error: unknown = await loading.then(
    () => new Error('the config was accepted'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof ConfigError) return error.problems
  throw error
}

/** `code line:column path`, for tests that compare whole lists. */
export function places(problems: readonly Problem[]): string[] {
  return problems.map(({ code, line, column, path }) => `${code} ${line}:${column} ${path}`)
}
