/** Git revisions as folders that can be run. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'

/** A revision as a folder; `.` is the working tree as it stands. */
export interface Checkout {
  readonly directory: string
  /** Short hash, or `working tree`. */
  readonly title: string
}

const lock = 'package-lock.json'

/**
 * @param repository a checkout with its packages installed
 * @param parent a folder of ours for the worktree
 * @throws a message for the user when git does not know the revision
 */
export function checkOut(repository: string, revision: string, parent: string): Checkout {
  if (revision === '.') return { directory: repository, title: 'working tree' }
  const title = git(repository, ['rev-parse', '--short', '--verify', `${revision}^{commit}`], revision)
  const directory = join(parent, title)
  if (!existsSync(directory)) {
    git(repository, ['worktree', 'add', '--detach', directory, title], revision)
    installPackages(repository, directory)
  }
  return { directory, title }
}

/** Forgets the worktrees under `parent`. */
export function removeCheckouts(repository: string, checkouts: readonly Checkout[]): void {
  for (const { directory } of checkouts) {
    if (directory === repository || !existsSync(directory)) continue
    git(repository, ['worktree', 'remove', '--force', directory], directory)
  }
}

/** Those of the checkout at hand where they are the same. */
function installPackages(repository: string, directory: string): void {
  const same = readFileSync(join(repository, lock), 'utf8') === readFileSync(join(directory, lock), 'utf8')
  if (same) symlinkSync(join(repository, 'node_modules'), join(directory, 'node_modules'))
  else
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], {
      cwd: directory,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
}

function git(repository: string, command: readonly string[], revision: string): string {
  try {
    return execFileSync('git', ['-C', repository, ...command], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim()
  } catch (error) {
    const { stderr } = error as { stderr?: string }
    throw new Error(`git ${command[0]} ${revision}: ${stderr?.trim() ?? String(error)}`)
  }
}
