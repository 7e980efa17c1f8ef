/** The composition root: reads the command line and runs one verb. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { installResolver } from '../core/host/loader.ts'
import { bench } from './bench.ts'
import { breaker } from './breaker.ts'
import { check } from './check.ts'
import { config } from './config.ts'
import { explain } from './explain.ts'
import { tellFailure } from './failure.ts'
import { lb } from './lb.ts'
import { lock } from './lock.ts'
import { plugin } from './plugin.ts'
import { portOwner } from './port-owner.ts'
import { schema } from './schema.ts'
import { processTerminal, type Terminal } from './terminal.ts'
import { up } from './up.ts'

/** What a verb is given. */
export interface Host {
  readonly terminal: Terminal
  readonly version: string
  /** Sets the exit status; 0 when it is not called. */
  finish(status: number): void
}

/** Adds a command; its action resolves when the command is done, or throws what is to be told. */
export type Verb = (program: Command, host: Host) => unknown

const verbs: readonly Verb[] = [up, lb, check, schema, explain, plugin, breaker, config, lock, bench]

/** package.json lies above cli/, in the checkout and in the package alike. */
function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** Exit status of a wrong command line; commander says 1 for it. What `bench` says with 2 is something else. */
const usageStatus = ([verb]: readonly string[]): number => (verb === 'bench' ? 3 : 2)

/** @returns the exit status */
export async function main(argv: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  installResolver()
  const version = packageVersion()
  const program = new Command('millrace')
    .description('A strict, fast HTTP load balancer in which every policy is a plugin.')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) => terminal.err(text.trimEnd()),
    })
  let status = 0
  const finish = (own: number): void => {
    status = own
  }
  for (const verb of verbs) verb(program, { terminal, version, finish })
  try {
    await program.parseAsync(argv, { from: 'user' })
    return status
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageStatus(argv)
    return tellFailure(error, terminal, portOwner)
  }
}
