/** The file of a SQLite store: opened when it is needed, checked that it is ours and still there, one transaction a call. */
import { closeSync, linkSync, mkdirSync, openSync, type Stats, statSync, unlinkSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { faultOf, StoreFault } from './fault.ts'
import { applicationId, schemaVersion, tables } from './schema.ts'

type Row = Record<string, unknown>

/** An open database with its statements. */
export class Connection {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  /** Of the file that was opened: another may be put in its place. */
  readonly file: Pick<Stats, 'ino' | 'dev'>

  constructor(database: DatabaseSync, file: Pick<Stats, 'ino' | 'dev'>) {
    this.#database = database
    this.file = file
  }

  row(sql: string, ...given: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...given) as Row | undefined
  }

  rows(sql: string, ...given: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...given) as Row[]
  }

  run(sql: string, ...given: SQLInputValue[]): void {
    this.#statement(sql).run(...given)
  }

  /** One number of the file's header, or of the connection. */
  pragma(name: 'application_id' | 'user_version' | 'data_version'): number {
    return this.row(`PRAGMA ${name}`)?.[name] as number
  }

  exec(sql: string): void {
    this.#database.exec(sql)
  }

  get inTransaction(): boolean {
    return this.#database.isTransaction
  }

  close(): void {
    this.#statements.clear()
    this.#database.close()
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = this.#database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}

export class StoreFile {
  readonly #path: string
  #connection: Connection | undefined
  /** It was there once: when it is gone, an empty one must not take its place. */
  #seen = false

  constructor(file: string) {
    this.#path = file
  }

  /**
   * Runs `work` as one transaction; waits for nobody's lock.
   * @throws StoreFault
   */
  transact<T>(mode: 'read' | 'write', work: (connection: Connection) => T): T {
    let committing = false
    try {
      const connection = this.#open()
      connection.exec(mode === 'write' ? 'BEGIN IMMEDIATE' : 'BEGIN')
      this.#checkVersion(connection)
      const result = work(connection)
      committing = mode === 'write'
      connection.exec('COMMIT')
      return result
    } catch (error) {
      const fault = faultOf(error, this.#path, committing)
      this.#rollBack(fault.busy || fault === error)
      throw fault
    }
  }

  /** Changes when another connection has committed. @throws StoreFault */
  version(): string {
    try {
      const connection = this.#open()
      const { ino, dev } = connection.file
      return `${dev} ${ino} ${connection.pragma('data_version')}`
    } catch (error) {
      throw faultOf(error, this.#path, false)
    }
  }

  close(): void {
    const connection = this.#connection
    this.#connection = undefined
    try {
      connection?.close()
    } catch {
      // What was committed is in the file; there is nothing else to save.
    }
  }

  /** After a fault of the file itself the connection is made anew: what it has in memory may not be what the disk holds. */
  #rollBack(keep: boolean): void {
    const connection = this.#connection
    if (!connection) return
    try {
      if (connection.inTransaction) connection.exec('ROLLBACK')
      if (!keep) this.close()
    } catch {
      this.close()
    }
  }

  /** @throws StoreFault, or what SQLite and the file system throw */
  #open(): Connection {
    const file = statSync(this.#path, { throwIfNoEntry: false })
    const open = this.#connection
    if (open && file && open.file.ino === file.ino && open.file.dev === file.dev) return open
    if (!file && this.#seen)
      throw new StoreFault(
        'MR_STORE_UNAVAILABLE',
        `${this.#path}: the file is gone; put it back, or restart to begin an empty store`,
      )
    this.close()
    if (!file) this.#create()
    const found = file ?? statSync(this.#path)
    const connection = new Connection(new DatabaseSync(this.#path), found)
    try {
      prepare(connection, this.#path)
    } catch (error) {
      connection.close()
      throw error
    }
    this.#seen = true
    this.#connection = connection
    return connection
  }

  /**
   * An empty file that only its owner can read. It appears under its name when it has been closed here: closing any handle
   * of a file drops all locks that this process has on it, those of SQLite in other threads too.
   */
  #create(): void {
    mkdirSync(path.dirname(this.#path), { recursive: true, mode: 0o700 })
    const fresh = `${this.#path}.${process.pid}.${process.hrtime.bigint()}`
    closeSync(openSync(fresh, 'wx', 0o600))
    try {
      linkSync(fresh, this.#path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      unlinkSync(fresh)
    }
  }

  /** Another process may have brought the file up to a newer version. */
  #checkVersion(connection: Connection): void {
    const version = connection.pragma('user_version')
    if (version !== schemaVersion) throw wrongVersion(this.#path, version)
  }
}

/** Looks whose file it is before anything in it is changed. */
function prepare(connection: Connection, file: string): void {
  const isNew = inOneView(connection, () => checkOwner(connection, file))
  const mode = connection.row('PRAGMA journal_mode = WAL')?.journal_mode
  if (mode !== 'wal')
    throw new StoreFault(
      'MR_STORE_UNAVAILABLE',
      `${file}: its file system has no shared memory for SQLite's WAL`,
    )
  // FULL: in the WAL each commit is synced before it is acknowledged. What is left of the WAL stays small.
  connection.exec(
    'PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 16777216',
  )
  if (!isNew) return
  connection.exec('BEGIN IMMEDIATE')
  try {
    // Another process may have been first.
    if (checkOwner(connection, file))
      connection.exec(
        `${tables}; PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion}`,
      )
    connection.exec('COMMIT')
  } catch (error) {
    if (connection.inTransaction) connection.exec('ROLLBACK')
    throw error
  }
}

/** Another process that makes its tables meanwhile would else be seen half: no owner yet, but tables. */
function inOneView<T>(connection: Connection, look: () => T): T {
  connection.exec('BEGIN')
  try {
    return look()
  } finally {
    if (connection.inTransaction) connection.exec('ROLLBACK')
  }
}

/** @returns true for an empty file */
function checkOwner(connection: Connection, file: string): boolean {
  const owner = connection.pragma('application_id')
  const version = connection.pragma('user_version')
  if (owner === applicationId) {
    if (version !== schemaVersion) throw wrongVersion(file, version)
    return false
  }
  if (owner === 0 && connection.row('SELECT 1 FROM sqlite_schema LIMIT 1') === undefined) return true
  throw new StoreFault('MR_STORE_DATA', `${file}: this is another program's database, no store of millrace`)
}

const wrongVersion = (file: string, version: number): StoreFault =>
  new StoreFault(
    'MR_STORE_DATA',
    `${file}: its tables have version ${version}, written by ${version > schemaVersion ? 'a newer' : 'another'} millrace; this one reads version ${schemaVersion}`,
  )
