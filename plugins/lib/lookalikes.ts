import { type HeaderFields, protectedFields } from 'millrace'

/**
 * Takes away what a client sends under a name that some backends read as one of ours: CGI, WSGI and PHP make one variable
 * of `X-User`, `X_User` and `x.user`, so that a field that we set could be answered by the client's.
 */
export function removeLookalikes(headers: HeaderFields, names: readonly string[]): void {
  for (const [sent] of headers.entries()) {
    if (names.some((name) => isLookalike(sent, name)) && !protectedFields.has(sent.toLowerCase()))
      headers.remove(sent)
  }
}

/** The same but for what stands where neither has a letter or digit. */
function isLookalike(sent: string, name: string): boolean {
  return sent.length === name.length && variableOf(sent) === variableOf(name)
}

const variableOf = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '_')
