/** Makes the schedule of backups of this process. */
import { randomUUID } from 'node:crypto'
import { BackupCommand } from '../config/backup/command.ts'
import { BackupFolder } from '../config/backup/directory.ts'
import { BackupSchedule } from '../config/backup/schedule.ts'
import type { BackupConfig } from '../config/snapshot.ts'
import type { ConfigStore } from '../contracts/config-store.ts'
import type { RawClock } from './clock.ts'
import { type LockDeps, openLock } from './open-lock.ts'

export interface OpenBackupsDeps extends LockDeps {
  readonly store: ConfigStore
  readonly clock: RawClock
  /** Of commands. */
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface OpenBackups {
  readonly schedule: BackupSchedule
  /** Idempotent; never rejects. */
  stop(): Promise<void>
}

export async function openBackups(config: BackupConfig, deps: OpenBackupsDeps): Promise<OpenBackups> {
  const { store, clock, log, fleet, self, env } = deps
  const { to, incrementalMs, fullMs, keep } = config
  const target =
    to.kind === 'folder'
      ? new BackupFolder(to.folder)
      : new BackupCommand({ command: to.command, clock, env })
  const lock = await openLock({ use: 'store', options: {}, path: 'store' }, deps)
  const schedule = new BackupSchedule({
    ...{ store, locker: lock.locker, target, clock, log, fleet, node: self.id, incrementalMs, fullMs, keep },
    random: () => deps.random(),
    newId: () => randomUUID(),
  })
  schedule.start()
  const stop = async (): Promise<void> => {
    await schedule.stop()
    await lock.stop()
  }
  return { schedule, stop }
}
