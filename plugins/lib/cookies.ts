/** The first cookie of the name in a Cookie field (RFC 6265 §5.4), without cutting the field to pieces. */
export function cookieValue(field: string, name: string): string | undefined {
  for (let at = 0; at < field.length; ) {
    const semicolon = field.indexOf(';', at)
    const end = semicolon < 0 ? field.length : semicolon
    while (field.charCodeAt(at) === 0x20 || field.charCodeAt(at) === 0x09) at++
    if (field.startsWith(name, at) && field.charCodeAt(at + name.length) === 0x3d)
      return field.slice(at + name.length + 1, end).trim()
    at = end + 1
  }
  return undefined
}
