import { definePlugin, type Filter, type HeaderFields, z } from 'millrace'
import { fieldValue } from '../lib/fields.ts'
import { includesStatus, statuses } from '../lib/statuses.ts'

const value = fieldValue.min(1, 'expected a Cache-Control value such as "public, max-age=60"')

const options = z
  .strictObject({
    default: value.optional().describe('Cache-Control where the backend sent neither that nor Expires'),
    force: value.optional().describe('Cache-Control whatever the backend sent; its Expires and Pragma go'),
    strip: z
      .boolean()
      .default(false)
      .describe('Takes away what the backend sent: Cache-Control, Expires, Pragma'),
    statuses: statuses.prefault(['200-299', 304]).describe('Answers that are changed'),
  })
  .refine(
    (parsed) => [parsed.default, parsed.force, parsed.strip || undefined].filter(Boolean).length === 1,
    {
      message: 'expected exactly one of `default`, `force` and `strip`',
    },
  )

function strip(headers: HeaderFields): void {
  // A write takes the fields apart: only where there is something to take away.
  for (const name of ['cache-control', 'expires', 'pragma']) if (headers.has(name)) headers.remove(name)
}

/**
 * Sets what caches may do with answers to GET and HEAD: a default where the backend said nothing, a value whatever it said, or
 * nothing at all. Answers of our own, errors among them, are left alone, and so is everything where no use of this filter
 * stands: Cache-Control passes through.
 */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'cache-control',
  description: 'Sets, overrides or removes Cache-Control of answers.',
  options,
  create(_context, parsed) {
    return {
      // HOT
      onResponse({ request, response }) {
        if (response === undefined || response.own) return
        if (request.method !== 'GET' && request.method !== 'HEAD') return
        if (!includesStatus(parsed.statuses, response.status)) return
        const { headers } = response
        if (parsed.default !== undefined) {
          if (!headers.has('cache-control') && !headers.has('expires'))
            headers.set('Cache-Control', parsed.default)
          return
        }
        strip(headers)
        if (parsed.force !== undefined) headers.set('Cache-Control', parsed.force)
      },
    } satisfies Filter
  },
})
