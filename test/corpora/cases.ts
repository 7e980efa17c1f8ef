/** The cases of all collections with the verdict that holds here: http-intermediary.md wins over the collections. */
import { corporaDirectory } from './directory.ts'
import { type GuardianCase, guardianCases } from './guardian.ts'
import { type LlhttpCase, llhttpCases } from './llhttp.ts'
import type { ReplayCase, Verdict } from './replay.ts'

export interface Override {
  readonly verdict: Verdict
  readonly reason: string
}

const anyToken: Override = { verdict: 'either', reason: 'any token is a method' }
const codings: Override = {
  verdict: 'refuse',
  reason: 'other codings than a single chunked are refused (501)',
}

/** Cases whose own verdict does not hold, each with its reason. A test checks that each of them exists. */
export const overrides: Readonly<Record<string, Override>> = {
  'request/invalid.md: HTTP protocol and ANNOUNCE method': anyToken,
  'request/invalid.md: Invalid method': anyToken,
  'more-compliant-tests.yaml: Correct TE OK': codings,
  'more-compliant-tests.yaml: Transfer-Encoding: identity and chunked OK': codings,
  'more-compliant-tests.yaml: Multiple transfer encoding headers in a single request OK': codings,
  'more-compliant-tests.yaml: TE with custom parameters OK': codings,
  'rfc-compliant.yaml: Different Transfer-Encoding headers': codings,
  'rfc-compliant.yaml: Different Transfer-Encoding headers combined': codings,
  'rfc-compliant.yaml: Transfer-Encoding with a param: chunked;custom_param': codings,
  'rfc-compliant.yaml: Compliant URL': { verdict: 'refuse', reason: 'a fragment in a target is refused' },
  'rfc-compliant.yaml: International in URI': {
    verdict: 'refuse',
    reason: 'raw bytes from 0x80 in targets are refused',
  },
  'rfc-compliant.yaml: Empty URI': {
    verdict: 'refuse',
    reason: 'an empty target is in none of the four forms',
  },
}

const tiers: Readonly<Record<GuardianCase['tier'], Verdict>> = {
  Severe: 'refuse',
  Ambiguous: 'either',
  Acceptable: 'either',
  Compliant: 'answer',
}

function fromGuardian({ name, tier, bytes }: GuardianCase): ReplayCase {
  return { name, bytes, verdict: overrides[name]?.verdict ?? tiers[tier], complete: 0 }
}

function fromLlhttp({ name, bytes, error, complete }: LlhttpCase): ReplayCase[] {
  const verdict = overrides[name]?.verdict ?? (error === undefined ? 'either' : 'refuse')
  const plain = { name, bytes, verdict, complete }
  const text = bytes.toString('latin1')
  // Without a Host a request is refused for that alone: each is replayed with one, too.
  if (/^host[ \t]*:/im.test(text)) return [plain]
  const hosted = text.replace(/(?<=^|\n)[A-Z-]+ [^\r\n]* HTTP\/1\.[01]\r\n/g, '$&Host: localhost\r\n')
  return hosted === text
    ? [plain]
    : [plain, { ...plain, name: `${name} (with a Host)`, bytes: Buffer.from(hosted, 'latin1') }]
}

export function requestCases(): { readonly llhttp: ReplayCase[]; readonly guardian: ReplayCase[] } {
  return {
    llhttp: llhttpCases(corporaDirectory, 'request').flatMap(fromLlhttp),
    guardian: guardianCases(corporaDirectory).map(fromGuardian),
  }
}
