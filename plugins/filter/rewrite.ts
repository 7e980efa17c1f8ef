import { definePlugin, type Filter, z } from 'millrace'

/** Characters of a path as it is matched and forwarded: no query, no fragment, nothing above ASCII. */
const pathText = z
  .string()
  .regex(/^\/[!"$-;=@-~]*$/, 'expected a path such as /api, as it stands in the request line')
const prefix = pathText.regex(/^\/(.*[^/])?$/, 'a prefix has no slash at its end; it matches whole segments')

const options = z
  .strictObject({
    stripPrefix: prefix.optional().describe('Takes this prefix away: /api/users → /users'),
    replacePrefix: z
      .strictObject({ from: prefix, to: prefix })
      .optional()
      .describe('Puts another prefix in its place'),
    regex: z
      .strictObject({
        pattern: z.string().min(1).max(1000),
        to: z.string().regex(/^[!"$-;=@-~]*$/, 'expected characters of a path; $1 to $9 are groups'),
      })
      .optional()
      .describe(
        'Puts the text to, in which $1 to $9 are groups, in the place of the first match of a pattern in RE2 syntax',
      ),
  })
  .refine((parsed) => Object.values(parsed).filter((value) => value !== undefined).length === 1, {
    message: 'expected exactly one of `stripPrefix`, `replacePrefix` and `regex`',
  })
type Options = z.output<typeof options>

/** The path that is to be sent; undefined where it stays. */
type Change = (path: string) => string | undefined

function movePrefix(from: string, to: string): Change {
  const root = from === '/'
  return (path) => {
    if (!root) {
      if (!path.startsWith(from)) return undefined
      // At the end of a segment, as routes match.
      if (path.length > from.length && path.charCodeAt(from.length) !== 47) return undefined
    }
    const rest = root ? path : path.slice(from.length)
    const moved = to === '/' ? rest : to + (rest === '/' && root ? '' : rest)
    return moved === '' ? '/' : moved
  }
}

async function byPattern({ pattern, to }: NonNullable<Options['regex']>): Promise<Change> {
  const { RE2JS } = await import('re2js')
  const compiled = RE2JS.compile(pattern)
  const groups = compiled.groupCount()
  for (const [reference, group] of to.matchAll(/\$(.)?/g)) {
    if (group === undefined || !/[1-9]/.test(group) || Number(group) > groups) {
      throw new Error(
        `regex.to holds ${JSON.stringify(reference)}, but the groups of the pattern are $1 to $${groups}`,
      )
    }
  }
  return (path) => {
    const matcher = compiled.matcher(path)
    if (!matcher.find()) return undefined
    const middle = to.replaceAll(/\$([1-9])/g, (_, group) => matcher.group(Number(group)) ?? '')
    const changed = path.slice(0, matcher.start()) + middle + path.slice(matcher.end())
    return changed.startsWith('/') ? changed : `/${changed}`
  }
}

/**
 * Changes the path of requests before they are forwarded; the query stays. Prefixes match whole segments of the bytes that
 * came (`/api` is no prefix of `/apis`, nor of `/%61pi`), and what does not match passes unchanged. The route was chosen before
 * and stays. Patterns are in RE2 syntax, without look-around and back-references, and run in time linear in the path's
 * length whatever they are (package `re2js`, loaded only where there is a pattern).
 */
export default definePlugin({
  api: 1,
  kind: 'filter',
  name: 'rewrite',
  description: 'Changes the path of requests: strips or replaces a prefix, or by a pattern.',
  options,
  async create(_context, parsed) {
    const { stripPrefix, replacePrefix, regex } = parsed
    const change =
      stripPrefix !== undefined
        ? movePrefix(stripPrefix, '/')
        : replacePrefix
          ? movePrefix(replacePrefix.from, replacePrefix.to)
          : await byPattern(regex!)
    return {
      // HOT
      onRequest({ request }) {
        const { path, target } = request
        // Only OPTIONS has a target that is no path.
        if (path.charCodeAt(0) !== 47) return
        const changed = change(path)
        if (changed !== undefined && changed !== path) request.target = changed + target.slice(path.length)
      },
    } satisfies Filter
  },
})
