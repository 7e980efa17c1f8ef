import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { repository } from '../../bench/arms/millrace.ts'
import { comparedSubject } from '../../bench/harness/compared.ts'
import { checkOut, removeCheckouts } from '../../bench/harness/revisions.ts'
import { folderWith } from '../cli/run-cli.ts'

let root: string
let parent: string

function git(...command: string[]): void {
  const who = ['-c', 'user.name=a', '-c', 'user.email=a@localhost']
  execFileSync('git', ['-C', root, ...who, ...command], { stdio: 'ignore' })
}

function commit(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text)
  git('add', '--all')
  git('commit', '--message', 'x')
}

/** A user's repository, with its project in a folder of it. */
beforeEach(() => {
  root = realpathSync(folderWith({ '.gitignore': 'node_modules\n' }))
  parent = folderWith({})
  mkdirSync(join(root, 'edge/node_modules/millrace/cli'), { recursive: true })
  writeFileSync(join(root, 'edge/node_modules/millrace/cli/bin.js'), '')
  git('init', '--initial-branch', 'main')
  commit({ 'edge/lb.yaml': 'one', 'edge/yarn.lock': 'a' })
  commit({ 'edge/lb.yaml': 'two' })
})

const installed = (config: string | undefined, directory = join(root, 'edge')) =>
  comparedSubject({ config, directory }, true)

describe('an installed Millrace compares revisions of its user', () => {
  test('each with its own config and with the Millrace that it has installed', () => {
    const subject = installed('lb.yaml')
    expect(subject).toMatchObject({ repository: root, projects: ['', 'edge/'] })
    const base = checkOut(subject, 'main~1', parent)
    const { config, directory, title } = subject.parts('base', base)
    expect(readFileSync(config ?? '', 'utf8')).toBe('one')
    expect(directory).toBe(join(base.directory, 'edge/node_modules/millrace'))
    expect(realpathSync(directory)).toBe(join(root, 'edge/node_modules/millrace'))
    expect(title).toBe(`base: ${base.title}`)
    const head = subject.parts('head', checkOut(subject, '.', parent))
    expect(head).toMatchObject({ config: join(root, 'edge/lb.yaml'), title: 'head: working tree' })
    removeCheckouts(root, [base])
    expect(existsSync(base.directory)).toBe(false)
    expect(existsSync(join(root, 'edge/node_modules/millrace/cli/bin.js'))).toBe(true)
  })

  test('on the Millrace that runs, where they have none installed', () => {
    const subject = installed('edge/lb.yaml', root)
    expect(subject.parts('a', checkOut(subject, '.', parent)).directory).toBe(repository)
  })

  test('and says what is missing: the config, in one of them or at all', () => {
    expect(() => installed(undefined)).toThrow(/--config <file> expected/)
    const subject = installed('other.yaml')
    expect(() => subject.parts('a', checkOut(subject, '.', parent))).toThrow(
      '--config: there is no other.yaml in working tree',
    )
  })

  test('but not with other packages that only another installer could put there', () => {
    writeFileSync(join(root, 'edge/yarn.lock'), 'b')
    const subject = installed('lb.yaml')
    expect(() => checkOut(subject, 'main', parent)).toThrow(
      /^yarn\.lock of \w+ is not that of the working tree/,
    )
  })
})

test('a checkout of Millrace compares its own, with the defaults or with a config of each', () => {
  const own = (config: string | undefined) => comparedSubject({ config, directory: root }, false)
  const checkout = { directory: root, title: 'abc' }
  expect(own(undefined)).toMatchObject({ repository, projects: [''] })
  expect(own(undefined).parts('base', checkout)).toEqual({
    ...{ name: 'base', title: 'base: abc', directory: root, config: undefined },
  })
  expect(own('edge/lb.yaml').parts('base', checkout).config).toBe(join(root, 'edge/lb.yaml'))
})
