/** Names of services in the options of plugins. */
import { z } from 'zod'

/** Marks, in the JSON Schema of a plugin's options, a text that names a service. Any library that can write a keyword of its
 * own into its JSON Schema can set it. */
export const referenceKey = 'x-millrace-reference'

/** The name of a service: the config's reader sees that there is one. For options of the first level. */
export const serviceName = z
  .string({ error: 'expected the name of a service' })
  .min(1, 'expected the name of a service')
  .meta({ [referenceKey]: 'service' })

/** Which of the options name services, by their JSON Schema. */
export function namesServices(schema: object | undefined): string[] {
  const { properties } = (schema ?? {}) as { properties?: Record<string, Record<string, unknown>> }
  return Object.entries(properties ?? {})
    .filter(([, property]) => property[referenceKey] === 'service')
    .map(([key]) => key)
}
