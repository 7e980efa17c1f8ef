/** Names the memory that a plugin asks for, so that uses, plugins and versions of code never meet in the same bytes. */
import type { ThreadContext } from '../contracts/plugin.ts'
import type { LoadedPlugin } from './registry.ts'

/** Memory of a thread's process by key; `ownerSlot` -1: it belongs to no backend. */
export type Allocate = (key: string, bytes: number, ownerSlot: number) => Uint8Array<SharedArrayBuffer>

/**
 * `context.shared` of one use.
 *
 * @param id unique name of the use, the same in all threads and over reloads
 */
export function sharedMemory(loaded: LoadedPlugin, id: string, allocate: Allocate): ThreadContext['shared'] {
  const { kind, name: plugin } = loaded.definition
  return (name, bytes, backend) => {
    const slot = backend?.slot ?? -1
    // `name` stands last: it may hold anything, the other parts hold no bar.
    return allocate(`${kind}|${plugin}|${loaded.hash}|${slot}|${JSON.stringify(id)}|${name}`, bytes, slot)
  }
}
