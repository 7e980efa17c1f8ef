/** Certificates and keys of a config: complete, readable, and of each other. */
import { asList, asMap } from './checks.ts'
import type { ConfigDocument } from './document.ts'
import type { PemFiles } from './pem-files.ts'
import type { ConfigPath } from './problems.ts'

export async function checkPems(document: ConfigDocument, pems: PemFiles): Promise<void> {
  for (const [name, listener] of Object.entries(asMap(asMap(document.value).listeners))) {
    const { tls } = asMap(listener)
    if (tls !== undefined) await checkListener(document, pems, tls, ['listeners', name, 'tls'])
  }
  await checkServicePems(document, pems, 'file or text')
}

/** @param form `text`: the config comes from elsewhere and cannot name files of this node */
export async function checkServicePems(
  document: ConfigDocument,
  pems: PemFiles,
  form: 'text' | 'file or text',
): Promise<void> {
  for (const [name, service] of Object.entries(asMap(asMap(document.value).services))) {
    const { tls } = asMap(service)
    if (tls === undefined) continue
    const path = ['services', name, 'tls']
    if (form === 'text' && namesFiles(document, tls, path)) continue
    await checkPair(document, pems, tls, path, true)
    const roots = { certificate: asMap(tls).ca, key: undefined }
    await pems.check(document, { ...roots, certificatePath: [...path, 'ca'], keyPath: path })
  }
}

function namesFiles(document: ConfigDocument, tls: unknown, path: ConfigPath): boolean {
  const files = Object.entries(asMap(tls)).filter(
    ([key, value]) =>
      ['ca', 'cert', 'key'].includes(key) &&
      typeof value === 'string' &&
      !value.trimStart().startsWith('-----BEGIN '),
  )
  for (const [key] of files) {
    const message = 'config from a store cannot name files of a node: expected PEM text'
    document.report({ code: 'MR_CONFIG_INVALID', message, path: [...path, key] })
  }
  return files.length > 0
}

async function checkListener(
  document: ConfigDocument,
  pems: PemFiles,
  tls: unknown,
  path: ConfigPath,
): Promise<void> {
  const { cert, key, certificates, serverNames } = asMap(tls)
  await checkPair(document, pems, tls, path, true)
  for (const [index, entry] of asList(certificates).entries())
    await checkPair(document, pems, entry, [...path, 'certificates', index], false)
  if (cert !== undefined || key !== undefined) return
  if (asList(certificates).length === 0)
    document.report({
      code: 'MR_CONFIG_INVALID',
      message: 'TLS needs `cert` and `key`, or `certificates`',
      path,
    })
  else if (serverNames !== undefined)
    document.report({
      code: 'MR_CONFIG_INVALID',
      message: '`serverNames` here belongs to `cert` and `key`',
      path: [...path, 'serverNames'],
    })
}

async function checkPair(
  document: ConfigDocument,
  pems: PemFiles,
  holder: unknown,
  path: ConfigPath,
  complete: boolean,
): Promise<void> {
  const { cert, key } = asMap(holder)
  if (complete && (cert === undefined) !== (key === undefined)) {
    const message = cert === undefined ? '`key` without `cert`' : '`cert` without `key`'
    document.report({
      code: 'MR_CONFIG_INVALID',
      message,
      path: [...path, cert === undefined ? 'key' : 'cert'],
    })
  }
  const [certificatePath, keyPath] = [
    [...path, 'cert'],
    [...path, 'key'],
  ]
  await pems.check(document, { certificate: cert, key, certificatePath, keyPath })
}
