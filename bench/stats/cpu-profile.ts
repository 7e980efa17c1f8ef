/** The parts of V8's CPU profile format that are used here. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  /** Node id of each sample, and microseconds since the one before. */
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

export interface SelfTime {
  /** `name file:line`, or V8's own word such as `(garbage collector)`. */
  readonly place: string
  readonly milliseconds: number
  /** Of the time that was not idle. */
  readonly share: number
}

export interface ProfileSummary {
  readonly activeMs: number
  readonly idleMs: number
  /** Longest first. */
  readonly functions: readonly SelfTime[]
}

/**
 * Time spent in each function itself, without what it called, in the last `lastMs` of the profile. `root` is cut off from
 * file names.
 */
export function summariseProfile(
  profile: CpuProfile,
  root: string,
  lastMs = Number.POSITIVE_INFINITY,
): ProfileSummary {
  let early = profile.timeDeltas.reduce((sum, delta) => sum + delta, 0) - lastMs * 1000
  const places = new Map(profile.nodes.map((node) => [node.id, describePlace(node.callFrame, root)]))
  const microseconds = new Map<string, number>()
  profile.samples.forEach((id, index) => {
    early -= profile.timeDeltas[index]
    if (early > 0) return
    const place = places.get(id) ?? '(unknown)'
    microseconds.set(place, (microseconds.get(place) ?? 0) + Math.max(0, profile.timeDeltas[index]))
  })
  const idle = microseconds.get('(idle)') ?? 0
  microseconds.delete('(idle)')
  const active = [...microseconds.values()].reduce((sum, value) => sum + value, 0)
  const functions = [...microseconds]
    .map(([place, value]) => ({ place, milliseconds: value / 1000, share: value / Math.max(1, active) }))
    .sort((a, b) => b.milliseconds - a.milliseconds)
  return { activeMs: active / 1000, idleMs: idle / 1000, functions }
}

function describePlace(frame: CpuProfile['nodes'][number]['callFrame'], root: string): string {
  if (frame.url === '') return frame.functionName || '(anonymous, native)'
  const file = frame.url.replace(/^file:\/\//, '').replace(root, '')
  return `${frame.functionName || '(anonymous)'} ${file.replace(/\?.*$/, '')}:${frame.lineNumber + 1}`
}
