/** Git revisions as folders that can be run. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { MillraceError } from '../../core/host/errors.ts'

/** A revision as a folder; `.` is the working tree as it stands. */
export interface Checkout {
  readonly directory: string
  /** Short hash, or `working tree`. */
  readonly title: string
}

/** Of npm, whose packages can be installed in a worktree, and of others. */
const npmLocks = ['package-lock.json', 'npm-shrinkwrap.json']
const locks = [...npmLocks, 'pnpm-lock.yaml', 'yarn.lock', 'bun.lock']

export interface Repository {
  /** A checkout with its packages installed. */
  readonly repository: string
  /** Folders below it that have packages; '' is the root. */
  readonly projects: readonly string[]
}

/**
 * @param parent a folder of ours for the worktree
 * @throws a message for the user when git does not know the revision
 */
export function checkOut({ repository, projects }: Repository, revision: string, parent: string): Checkout {
  if (revision === '.') return { directory: repository, title: 'working tree' }
  const title = git(repository, ['rev-parse', '--short', '--verify', `${revision}^{commit}`], revision)
  const directory = join(parent, title)
  if (!existsSync(directory)) {
    git(repository, ['worktree', 'add', '--detach', directory, title], revision)
    try {
      installPackages(repository, directory, projects)
    } catch (error) {
      removeCheckouts(repository, [{ directory, title }])
      throw error
    }
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

/** Those at hand where the revision asks for the same, or for none in particular. @throws MR_USAGE */
function installPackages(repository: string, checkout: string, projects: readonly string[]): void {
  const changed = new Set(projects.filter((project) => changedLock(repository, checkout, project)))
  // All before the first link: npm may take the folder above for the one it installs in, and would empty what a link leads to.
  for (const project of changed) {
    const stdio: ['ignore', 'ignore', 'inherit'] = ['ignore', 'ignore', 'inherit']
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: join(checkout, project), stdio })
  }
  for (const project of projects) {
    const there = join(checkout, project)
    const hasOwn = locks.some((name) => existsSync(join(there, name)))
    if (!changed.has(project) && (changed.size === 0 || hasOwn))
      linkPackages(join(repository, project), there)
  }
}

/** npm's lock file of the revision is another one. @throws MR_USAGE when that of another installer is */
function changedLock(repository: string, checkout: string, project: string): boolean {
  const changed = changedLocks(join(repository, project), join(checkout, project))
  const other = changed.find((name) => !npmLocks.includes(name))
  if (other !== undefined)
    throw new MillraceError(
      'MR_USAGE',
      `${other} of ${basename(checkout)} is not that of the working tree, and only npm's packages can be installed beside ` +
        'those at hand: compare revisions with the same packages',
    )
  return changed.length > 0
}

/** Those that the revision has and that are not the same here. */
function changedLocks(here: string, there: string): string[] {
  return locks.filter((name) => {
    const lock = textOf(join(there, name))
    return lock !== undefined && lock !== textOf(join(here, name))
  })
}

function linkPackages(here: string, there: string): void {
  const [from, to] = [here, there].map((folder) => join(folder, 'node_modules'))
  if (existsSync(from) && existsSync(there) && !existsSync(to)) symlinkSync(from, to)
}

function textOf(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

/** @throws a message for the user, with what git says of `revision` */
export function git(repository: string, command: readonly string[], revision: string): string {
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
