/** Which arms can take part in a scenario. */
import type { Ability, Arm } from '../arms/arm.ts'
import type { Scenario, Shape } from '../report/bench-results.ts'

/** Of the backend without a proxy. */
const direct: readonly Ability[] = ['backends']

const inWords: Readonly<Record<Ability, string>> = {
  tls: 'TLS towards the client',
  backends: 'more than one backend',
}

export interface ScenarioArms {
  readonly able: readonly string[]
  /** For the report; undefined when all are able. */
  readonly note: string | undefined
}

export function scenarioArms(
  { title, shape }: Pick<Scenario, 'title' | 'shape'>,
  names: readonly string[],
  find: (name: string) => Arm,
): ScenarioArms {
  const needed = neededAbilities(shape)
  const isAble = (name: string): boolean => {
    const abilities = name === 'direct' ? direct : (find(name).abilities ?? [])
    return needed.every((ability) => abilities.includes(ability))
  }
  const able = names.filter(isAble)
  const unable = names.filter((name) => !isAble(name))
  if (unable.length === 0) return { able, note: undefined }
  const what = needed.map((ability) => inWords[ability]).join(' and ')
  return { able, note: `${title}: without ${unable.join(', ')}, which cannot do it (${what})` }
}

function neededAbilities(shape: Shape = {}): Ability[] {
  const needed: Ability[] = []
  if (shape.tls) needed.push('tls')
  if ((shape.backends ?? 1) > 1) needed.push('backends')
  return needed
}
