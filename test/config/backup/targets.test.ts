/** Where backups go: folders and commands, as they fail in real life. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BackupCommand } from '#core/config/backup/command'
import { BackupFolder } from '#core/config/backup/directory'
import { parseBackup } from '#core/config/backup/format'
import { type Backup, takeBackup } from '#core/config/backup/take'
import { systemClock } from '#core/host/clock'
import { MemoryStore } from '../../conformance/memory-store.ts'
import { FakeTime } from '../../conformance/time.ts'

const newFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-backup-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const days = (count: number): number => Date.UTC(2026, 0, 1 + count)

async function backupOf(at: number, base?: Backup, bytes = 10): Promise<Backup> {
  const client = new MemoryStore(new FakeTime()).client()
  const value = Buffer.alloc(bytes, 'x')
  await client.put('config', value, null, 'write-1', { by: 'ann' })
  const from = base && { name: base.name, lineage: base.header.lineage, heads: base.header.heads }
  const backup = await takeBackup({ store: client, fleet: 'shop', at, base: from })
  if (!backup) throw new Error('nothing was there')
  return backup
}

describe('a folder', () => {
  test('is made, holds each backup whole and for its owner alone, and is found again', async () => {
    const folder = new BackupFolder(join(newFolder(), 'a', 'b'))
    const backup = await backupOf(days(0))
    await folder.write(backup)
    expect(readdirSync(folder.place)).toEqual([backup.name])
    const file = join(folder.place, backup.name)
    expect(readFileSync(file).equals(backup.bytes)).toBe(true)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(await folder.newest('shop')).toMatchObject({ name: backup.name, lineage: 'lineage-1' })
    expect(await folder.newest('other')).toBe(undefined)
  })

  test('keeps the newest full ones and what goes on from them; what is not ours stays', async () => {
    const folder = new BackupFolder(newFolder())
    let last: Backup | undefined
    const names: string[] = []
    for (let count = 0; count < 9; count++) {
      last = await backupOf(days(count), count % 3 === 0 ? undefined : last)
      names.push(last.name)
      await folder.write(last)
    }
    const theirs = ['notes.txt', 'millrace-other-2020-01-01T00-00-00-000Z-full.ndjson']
    for (const name of theirs) writeFileSync(join(folder.place, name), 'x')
    expect([...(await folder.prune('shop', 2, names[8]))].sort()).toEqual(names.slice(0, 3))
    expect(readdirSync(folder.place).sort()).toEqual([...theirs, ...names.slice(3)].sort())
    expect(await folder.prune('shop', 5, names[8])).toEqual([])
  })

  test('what a wrong clock has named after a day to come does not cost the one that was just made', async () => {
    const folder = new BackupFolder(newFolder())
    const wrong = await Promise.all([days(9000), days(9007)].map((at) => backupOf(at)))
    for (const backup of wrong) await folder.write(backup)
    for (let count = 0; count < 3; count++) {
      const made = await backupOf(days(count))
      await folder.write(made)
      const dropped = count === 2 ? [await backupOf(days(0))] : []
      expect(await folder.prune('shop', 2, made.name)).toEqual(dropped.map(({ name }) => name))
      expect(readdirSync(folder.place)).toContain(made.name)
    }
    for (const { name } of wrong) expect(readdirSync(folder.place)).toContain(name)
  })

  test('what a killed process has left half written goes, and what another is writing stays', async () => {
    const folder = new BackupFolder(newFolder())
    const [old, now] = [1, 2].map((day) => `.millrace-shop-2025-01-0${day}T00-00-00-000Z-full.ndjson.tmp`)
    const theirs = '.notes.tmp'
    const long = new Date(Date.now() - 2 * 3_600_000)
    for (const name of [old, now, theirs]) writeFileSync(join(folder.place, name), 'half')
    for (const name of [old, theirs]) utimesSync(join(folder.place, name), long, long)
    const backup = await backupOf(days(0))
    await folder.write(backup)
    expect(readdirSync(folder.place).sort()).toEqual([now, theirs, backup.name].sort())
  })

  test('nothing that is there is written to, nor what a link points to', async () => {
    const folder = new BackupFolder(newFolder())
    const backup = await backupOf(days(0))
    const victim = join(newFolder(), 'victim')
    writeFileSync(victim, 'precious')
    symlinkSync(victim, join(folder.place, `.${backup.name}.tmp`))
    await expect(folder.write(backup)).rejects.toMatchObject({ code: 'MR_BACKUP' })
    expect(readFileSync(victim, 'utf8')).toBe('precious')
    expect(existsSync(join(folder.place, backup.name))).toBe(false)
  })

  test('a damaged newest one is passed over as a base', async () => {
    const folder = new BackupFolder(newFolder())
    const [first, second] = [await backupOf(days(0)), await backupOf(days(1))]
    await folder.write(first)
    await folder.write(second)
    writeFileSync(join(folder.place, second.name), second.bytes.subarray(0, 100))
    expect((await folder.newest('shop'))?.name).toBe(first.name)
  })

  test('that cannot be is told, and nothing half is left', async () => {
    const parent = newFolder()
    writeFileSync(join(parent, 'file'), 'x')
    const folder = new BackupFolder(join(parent, 'file', 'below'))
    await expect(folder.write(await backupOf(days(0)))).rejects.toMatchObject({
      code: 'MR_BACKUP',
      message: expect.stringMatching(/was not written to .*ENOTDIR/),
    })
  })

  test('on a full disk: told as that, nothing half is left, and the older ones stay', async () => {
    const folder = newFolder()
    await new BackupFolder(folder).write(await backupOf(days(0)))
    const before = readdirSync(folder)
    // A process whose files cannot grow over 64 KiB.
    const script = `
      const { BackupFolder } = await import('#core/config/backup/directory')
      const bytes = Buffer.alloc(1_000_000)
      const name = 'millrace-shop-2026-02-01T00-00-00-000Z-full.ndjson'
      await new BackupFolder(${JSON.stringify(folder)}).write({ name, bytes }).catch((error) => {
        console.log(error.code, error.message)
      })`
    const shell = `trap '' XFSZ; ulimit -f 128; exec "$0" --input-type=module -e "$1"`
    const cwd = join(import.meta.dirname, '../../..')
    const { stdout, stderr } = spawnSync('sh', ['-c', shell, process.execPath, script], { cwd })
    expect(`${stdout}${stderr}`).toMatch(
      /^MR_BACKUP the backup was not written to .*: there is no room for it \(E\w+\)\n$/,
    )
    expect(readdirSync(folder)).toEqual(before)
  })
})

describe('a command', () => {
  const commandOf = (command: string, directory: string, limitMs?: number): BackupCommand =>
    new BackupCommand({ command, directory, limitMs, clock: systemClock, env: process.env })

  test('gets the whole backup in its input, and its name', async () => {
    const directory = newFolder()
    const backup = await backupOf(days(0), undefined, 300_000)
    await commandOf('cat > "$MILLRACE_BACKUP" && echo "$MILLRACE_BACKUP_KIND" > kind', directory).write(
      backup,
    )
    const bytes = readFileSync(join(directory, backup.name))
    expect(parseBackup(bytes, 'x').sha256).toBe(backup.sha256)
    expect(readFileSync(join(directory, 'kind'), 'utf8')).toBe('full\n')
  })

  test.each([
    ['cat > /dev/null; echo no such bucket >&2; exit 3', /it ended with status 3: no such bucket$/],
    ['no-such-command-anywhere', /it ended with status 127/],
    ['kill -9 $$', /it was ended by SIGKILL/],
    ['head -c 10 > /dev/null', /EPIPE|ended/],
  ])('that fails is told: %s', async (command, message) => {
    const backup = await backupOf(days(0), undefined, 1_000_000)
    await expect(commandOf(command, newFolder()).write(backup)).rejects.toMatchObject({
      code: 'MR_BACKUP',
      message: expect.stringMatching(message),
    })
  })

  test('is named by its place: what it is, secrets of the environment included, is told to nobody', async () => {
    const command = commandOf('cat > /dev/null; : --key s3cret; exit 3', newFolder())
    expect(command.place).toBe('backup.command')
    const failure = await command.write(await backupOf(0)).catch((error: Error) => error.message)
    expect(failure).toBe('the backup was not taken by backup.command: it ended with status 3')
  })

  test('that is called off is ended', async () => {
    const off = new AbortController()
    const writing = commandOf('sleep 600', newFolder()).write(await backupOf(0), off.signal)
    off.abort()
    await expect(writing).rejects.toMatchObject({ message: expect.stringMatching(/it was called off/) })
  })

  test.each([
    ['is done when it has ended', 'cat > /dev/null', undefined, /^done$/],
    ['fails when it fails', 'cat > /dev/null; echo no room >&2; exit 3', undefined, /status 3: no room$/],
    ['is given up when it hangs', 'sleep 600', 500, /was not done within 0.5 s/],
  ])('that leaves something in the background, with its standard error, %s', async (_what, command, limitMs, message) => {
    const directory = newFolder()
    onTestFinished(() => {
      const pid = Number(readFileSync(join(directory, 'pid'), 'utf8'))
      if (pid > 1) process.kill(pid, 'SIGKILL')
    })
    // As `ssh` does that is to be the master of later connections.
    const left = `setsid sleep 600 & echo $! > pid; ${command}`
    const writing = commandOf(left, directory, limitMs).write(await backupOf(0))
    const how = await writing.then(
      () => 'done',
      (error: Error) => error.message,
    )
    expect(how).toMatch(message)
  })

  test('that hangs is ended, and all that it has started', async () => {
    const directory = newFolder()
    const script = join(directory, 'hang.sh')
    writeFileSync(script, '#!/bin/sh\necho $$ > pid\nexec sleep 600\n')
    chmodSync(script, 0o755)
    await expect(commandOf('./hang.sh | cat', directory, 500).write(await backupOf(0))).rejects.toMatchObject(
      {
        message: expect.stringMatching(/was not done within 0.5 s/),
      },
    )
    const pid = Number(readFileSync(join(directory, 'pid'), 'utf8'))
    expect(pid).toBeGreaterThan(1)
    await expect
      .poll(() => {
        try {
          process.kill(pid, 0)
          return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ') ? 'gone' : 'there'
        } catch {
          return 'gone'
        }
      })
      .toBe('gone')
  })
})
