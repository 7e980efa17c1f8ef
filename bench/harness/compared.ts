/**
 * Whose revisions are compared. In a checkout of Millrace they are Millrace's own. In an installed package they are those of the
 * user's repository: a config with its plugins, on the Millrace that each revision has installed.
 */
import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { MillraceError } from '../../core/host/errors.ts'
import { isPublished, repository } from '../arms/millrace.ts'
import type { RevisionParts } from '../arms/revision.ts'
import { type Checkout, git } from './revisions.ts'

export interface Subject {
  /** Root of the git repository. */
  readonly repository: string
  /** Folders below it that have packages installed; '' is the root. */
  readonly projects: readonly string[]
  /** @throws MR_USAGE when the revision has no such config */
  parts(name: string, checkout: Checkout): RevisionParts
}

export interface SubjectOptions {
  /** Relative: of each revision, so that its plugins are that revision's. */
  readonly config: string | undefined
  /** Where the command was started. */
  readonly directory: string
}

/** @throws MR_USAGE where there is nothing to compare */
export function comparedSubject(options: SubjectOptions, published = isPublished): Subject {
  return published ? usersRepository(options) : ownCheckout(options)
}

function ownCheckout({ config }: SubjectOptions): Subject {
  return {
    ...{ repository, projects: [''] },
    parts: (name, checkout) => ({
      ...{ name, title: titleOf(name, checkout), directory: checkout.directory },
      config: config && configOf(checkout, '', config),
    }),
  }
}

function usersRepository({ config, directory }: SubjectOptions): Subject {
  if (config === undefined)
    throw new MillraceError(
      'MR_USAGE',
      'compare: an installed Millrace compares revisions of your own repository: --config <file> expected, and its ' +
        'path is looked for in both. Two revisions of Millrace itself: in its checkout',
    )
  const root = git(directory, ['rev-parse', '--show-toplevel'], directory)
  // Of the folder in the repository; ends in `/` unless it is the root.
  const project = git(directory, ['rev-parse', '--show-prefix'], directory)
  return {
    ...{ repository: root, projects: [...new Set(['', project])] },
    parts: (name, checkout) => ({
      ...{ name, title: titleOf(name, checkout), config: configOf(checkout, project, config) },
      directory: millraceOf(join(checkout.directory, project)),
    }),
  }
}

const titleOf = (name: string, { title }: Checkout): string => `${name}: ${title}`

function configOf({ directory, title }: Checkout, project: string, config: string): string {
  const path = isAbsolute(config) ? config : join(directory, project, config)
  if (existsSync(path)) return path
  throw new MillraceError('MR_USAGE', `--config: there is no ${config} in ${title}`)
}

/** What the revision has installed, so that a newer Millrace is compared too; the one that runs, where that is nothing. */
function millraceOf(project: string): string {
  const own = join(project, 'node_modules/millrace')
  return existsSync(join(own, 'cli/bin.js')) ? own : repository
}
