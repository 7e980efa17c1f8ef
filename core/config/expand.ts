/** `${NAME}` and `${NAME:-default}` in scalars: expanded once, by the file's reader. `$${` is a literal `${`. */

export type Environment = Readonly<Record<string, string | undefined>>

export interface Expansion {
  readonly text: string
  /** Variables whose value went in, for keeping those values out of messages. */
  readonly used: readonly { readonly name: string; readonly value: string }[]
  /** References that could not be resolved, as they stand in the text. */
  readonly missing: readonly string[]
  /** `${` that begins no reference. */
  readonly malformed: boolean
}

const reference = /\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?/g

/** As in a shell, the default is taken where the variable is unset or empty. Values are not expanded again. */
export function expand(text: string, env: Environment): Expansion {
  const used: { name: string; value: string }[] = []
  const missing: string[] = []
  let malformed = false
  const replace = (whole: string, name: string | undefined, fallback: string | undefined): string => {
    if (whole === '$${') return '${'
    if (name === undefined) {
      malformed = true
      return whole
    }
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    if (value !== undefined && (value !== '' || fallback === undefined)) {
      used.push({ name, value })
      return value
    }
    if (fallback !== undefined) return fallback
    missing.push(whole)
    return ''
  }
  // Behind the last } no reference ends: to look for one there takes time with the square of the length.
  const end = text.lastIndexOf('}') + 1
  const tail = text.slice(end).replace(/\$?\$\{/g, (whole) => replace(whole, undefined, undefined))
  return { text: text.slice(0, end).replace(reference, replace) + tail, used, missing, malformed }
}

/** YAML 1.2 core scalar of a plain text; a number with a leading zero stays text. */
export function plainScalar(text: string): string | number | boolean | null {
  if (
    /^[-+]?(?:0|[1-9]\d*)$/.test(text) ||
    /^[-+]?(?:\.\d+|(?:0|[1-9]\d*)(?:\.\d*)?)(?:[eE][-+]?\d+)?$/.test(text)
  )
    return Number(text)
  if (/^(?:true|True|TRUE)$/.test(text)) return true
  if (/^(?:false|False|FALSE)$/.test(text)) return false
  if (/^(?:null|Null|NULL|~)$/.test(text)) return null
  return text
}

/** Shorter values are no secrets, and would tear ordinary words apart. */
const shortestSecret = 4

/** Puts the references back for the values, so that a message made elsewhere never shows what the environment held. */
export function redact(message: string, used: Expansion['used']): string {
  const names = new Map<string, string>()
  for (const { name, value } of used) {
    if (value.length < shortestSecret) continue
    for (const form of [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)])
      names.set(form.toLowerCase(), name)
  }
  if (names.size === 0) return message
  const forms = [...names.keys()].sort((a, b) => b.length - a.length)
  const pattern = forms.map((form) => form.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')
  return message.replace(new RegExp(pattern, 'gi'), (form) => `\${${names.get(form.toLowerCase()) ?? ''}}`)
}
