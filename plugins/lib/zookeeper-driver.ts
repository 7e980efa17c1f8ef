/** The npm package `zookeeper`: as much of it as is used. It is native code, and loaded only where there is a ZooKeeper store. */
import { MillraceError } from 'millrace'

/** What ZooKeeper tells of a node, https://zookeeper.apache.org/doc/r3.8.0/zookeeperProgrammers.html#sc_zkStatStructure */
export interface Stat {
  /** The transaction that wrote it last. Each write to the ensemble has a greater one than all before. */
  readonly mzxid: number
  /** Of the data: counts its writes, from 0. */
  readonly version: number
  readonly numChildren: number
  /** When it was written last, by the leader's clock. */
  readonly mtime: Date
}

export interface Acl {
  readonly perms: number
  readonly scheme: string
  readonly auth: string
}

/** How an operation ends: its code (0: done), that in words, and what came with it. */
export type Answer<R extends readonly unknown[]> = (rc: number, text: string, ...results: R) => void

/**
 * A client of the package. Operations return 0, or less where nothing was sent. Its watches are the shared ones (`watch` true): they
 * are told as events; those with a function of their own are never freed, and abort the process when one fires after `close`.
 */
export interface Client {
  init(config: {
    readonly connect: string
    readonly timeout: number
    /** How often in a row it may find that an answer is not whole yet; then it closes itself. Default 10: not enough for 1 MB. */
    readonly response_counter_limit: number
  }): unknown
  /** Of the session, in milliseconds. */
  readonly timeout: number
  set_servers(servers: string): number
  close(): unknown
  on(
    event: 'connect' | 'connecting' | 'close' | 'created' | 'changed' | 'child' | 'deleted',
    listener: (client: unknown, detail: unknown) => void,
  ): Client
  add_auth(scheme: string, auth: string, done: Answer<[]>): number
  a_create(path: string, data: Buffer, flags: number, done: Answer<[path: string]>): number
  a_get(path: string, watch: boolean, done: Answer<[stat: Stat, data: Buffer | null]>): number
  a_get_children(path: string, watch: boolean, done: Answer<[names: string[]]>): number
  a_set(path: string, data: Buffer, version: number, done: Answer<[stat: Stat]>): number
  a_set_acl(path: string, version: number, acl: readonly Acl[], done: Answer<[]>): number
  a_delete_(path: string, version: number, done: Answer<[]>): number
  a_sync(path: string, done: Answer<[path: string]>): number
}

export type Driver = new () => Client

/** Of another type than its own literal: where it could not be compiled it is not there, and its types are not either. */
const packageName: string = 'zookeeper'

/** @throws MR_PACKAGE_MISSING with what to do about it */
export async function loadDriver(): Promise<Driver> {
  try {
    const loaded = (await import(packageName)) as { readonly default: Driver }
    return loaded.default
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const missing = code === 'ERR_MODULE_NOT_FOUND'
    throw new MillraceError(
      'MR_PACKAGE_MISSING',
      missing
        ? 'the package zookeeper is not installed: npm install zookeeper@7 (it is compiled, which takes python3, make and a C++ compiler)'
        : `the package zookeeper does not load in Node.js ${process.version}: ${message.split('\n')[0]}. It is to be compiled for this ` +
            'Node.js: npm_config_nodedir=DIR npm rebuild zookeeper, where DIR/include/node holds its headers',
      { plugin: 'zookeeper', cause: error },
    )
  }
}
