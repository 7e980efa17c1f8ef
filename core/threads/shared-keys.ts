/** Whose a piece of shared memory is, read from its key as `host/shared-memory.ts` writes it. */
import type { Snapshot } from '../config/snapshot.ts'

/** Kind, plugin, code hash and slot hold no bar; the use is a JSON string; a name of any text follows. */
const keyPattern = /^(?:[^|]*\|){4}("(?:[^"\\]|\\.)*")\|/

/** `context.id` of the instance that asked for the memory; undefined where the key is of another form. */
export function useOfKey(key: string): string | undefined {
  const id = keyPattern.exec(key)?.[1]
  return id === undefined ? undefined : (JSON.parse(id) as string)
}

/** From the id of a use to the name of what uses the plugin: of a service, or of a route as `routeUses` names it. */
export const usePrefix = {
  service: (id: string): string | undefined => (id.startsWith('service/') ? id.split('/', 2)[1] : undefined),
  // The id of the filter itself, the last part, holds no slash; the name of a route may.
  route: (id: string): string | undefined =>
    id.startsWith('route/') ? id.slice(0, id.lastIndexOf('/')) : undefined,
} as const

/** What the filters of each route are known by. */
export function routeUses(routes: Snapshot['routes']): string[] {
  return routes
    .filter(({ filters }) => filters.length > 0)
    .map(({ listener, name }) => `route/${listener ?? ''}/${name}/filter`)
}
