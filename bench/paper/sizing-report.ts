/** Tables, picture and words about how much one machine holds. */
import { armTitle } from '../arms/catalog.ts'
import { type BarGroup, barChart } from '../report/bar-chart.ts'
import { number, type Table, withRange } from '../report/rows.ts'
import {
  type AtConnections,
  machineMiB,
  memoryNeed,
  perCore,
  type Sized,
  type SizingResults,
  systemMiB,
} from './sizing.ts'

/** Requests a second that the design notes give a machine of 4 GB. */
const noted = 32_000

const percent = (share: number): string => `${Math.round(share * 100)} %`

function rateTable({ sized, aim }: SizingResults): Table {
  const rows = sized.map((one) => {
    const { arm, saturation, cpuMicros, sustained, limit, at } = one
    const first = at[0]
    return [
      armTitle(arm),
      withRange(saturation),
      withRange(cpuMicros),
      percent((saturation.median * cpuMicros.median) / 1e6),
      number(perCore(one)),
      ((noted * cpuMicros.median) / 1e6).toFixed(2),
      number(sustained),
      limit === 'rig' ? 'the load generator' : `${percent(aim)} of saturation`,
      percent((sustained * first.cpuMicros.median) / 1e6),
      withRange(first.p50),
      withRange(first.p99),
      withRange(first.serviceP99),
      withRange(first.lagP99),
    ]
  })
  const head = [
    'proxy',
    'saturated, req/s',
    'CPU µs/req',
    'core busy',
    'req/s a core by CPU',
    `cores for ${number(noted)}/s`,
  ]
  const open = [
    'sustained, req/s',
    'limited by',
    'core busy at it',
    'p50 ms',
    'p99 ms',
    'service p99 ms',
    'driver lag p99 ms',
  ]
  return { title: 'Requests a second on one core, 64-byte bodies', head: [...head, ...open], rows }
}

function memoryTable({ sized }: SizingResults): Table {
  const rows = sized.flatMap((one) =>
    one.at.map((at) => [
      armTitle(one.arm),
      number(at.connections),
      number(one.sustained),
      withRange(at.rssMiB),
      at.kernelMiB > 0 ? number(at.kernelMiB / 2) : '–',
      withRange(at.cpuMicros),
      withRange(at.p99),
      heldText(one, at),
    ]),
  )
  const head = ['proxy', 'connections', 'req/s', 'RSS, MiB', 'kernel, MiB', 'CPU µs/req', 'p99 ms', 'remarks']
  return { title: 'Memory at that rate', head, rows }
}

function heldText({ at: all }: Sized, at: AtConnections): string {
  const waiting = at.connections - all[0].connections
  const closed = waiting - at.held
  return [
    ...(closed > 0 ? [`${closed} connections were closed`] : []),
    ...(at.overloaded > 0 ? [`queues grew in ${at.overloaded} of ${at.p99.count} measurements`] : []),
  ].join('; ')
}

function capacityTable({ sized }: SizingResults): Table {
  const rows = sized.flatMap((one) => {
    const need = memoryNeed(one)
    if (need === undefined) return [[armTitle(one.arm), '–', '–', '–', '–']]
    return [
      [
        armTitle(one.arm),
        number(one.at[0].rssMiB.median),
        number(need.processKiB),
        number(need.kernelKiB),
        number(Math.round(need.connections / 1000) * 1000),
      ],
    ]
  })
  const head = [
    'proxy',
    'process, MiB',
    'KiB a connection',
    'kernel, KiB a connection',
    'connections in 4 GiB',
  ]
  return { title: 'Connections that 4 GiB hold', head, rows }
}

export function sizingTables(results: SizingResults): Table[] {
  const capacity = results.connections.length > 1 ? [capacityTable(results)] : []
  return [rateTable(results), memoryTable(results), ...capacity]
}

function answer(results: SizingResults): string[] {
  return results.sized.map((one) => {
    const need = memoryNeed(one)
    const memory =
      need === undefined
        ? ''
        : `; memory for about ${number(Math.round(need.connections / 1000) * 1000)} connections`
    const times = perCore(one) / noted
    return (
      `- ${armTitle(one.arm)}: ${number(one.saturation.median)} requests/s on one core when saturated, ` +
      `${times.toFixed(1)} times the 32 K of the design notes by CPU${memory}.`
    )
  })
}

function rigNote({ sized, aim }: SizingResults): string[] {
  const limited = sized.filter(({ limit }) => limit === 'rig')
  if (limited.length === 0) return []
  const used = limited.map(
    (one) => `${armTitle(one.arm)} ${percent((one.sustained * one.at[0].cpuMicros.median) / 1e6)}`,
  )
  return [
    `**The sustained rates are the rig’s, not the proxies’**, where “the load generator” limits them: it could not offer ${percent(aim)} of ` +
      `what saturates them, and at the rate that it could they used this much of their core: ${used.join(', ')}. The saturation by wrk and ` +
      'the CPU a request are theirs.',
    '',
  ]
}

export function sizingWords(results: SizingResults): string[] {
  const { connections, rounds, seconds, aim } = results
  const few = connections[0]
  return [
    '## Sizing: what one machine of 4 GB holds',
    '',
    `One proxy at a time is at work, on core 0; backend (nginx, at once) and load generator are on the others. Saturation: wrk, closed ` +
      `loop, ${few} connections. Sustained: open loop (requests start at random, fixed times, whatever has become of the earlier ones), at ` +
      `${percent(aim)} of saturation or, where less, a fifth below the highest rate that the load generator kept. ${rounds} × ${seconds} s each. ` +
      '`p50` and `p99` count from the intended start, so they hold the driver’s own lateness, whose p99 stands beside them; `service` ' +
      'counts from when the request was sent.',
    '',
    ...rigNote(results),
    'By CPU: 1,000,000 µs a second ÷ µs a request at saturation. At lower rates a request costs more, as less is done at once; ' +
      'that is no loss of capacity.',
    '',
    `Memory: ${few} connections carry the load; the others have done one request each and wait. Connections in 4 GiB = ` +
      `(${machineMiB} − ${systemMiB} for the system − RSS with ${few} connections) ÷ (growth of RSS from ${few} to ` +
      `${number(connections.at(-1)!)} connections ÷ their difference + the kernel’s part). The kernel’s part is half of what its slabs grew by, as both ` +
      'ends of each connection are on this machine. Buffers of slow or busy connections come on top.',
    '',
    'Answer:',
    '',
    ...answer(results),
    '',
  ]
}

export function sizingChart(results: SizingResults): string {
  const ours = (arm: string): boolean => arm.startsWith('millrace')
  const groups: BarGroup[] = [
    {
      title: 'Saturated on one core, requests/s',
      bars: results.sized.map(({ arm, saturation }) => ({
        label: armTitle(arm),
        value: saturation,
        ours: ours(arm),
      })),
    },
    {
      title: 'CPU per request when saturated, µs',
      bars: results.sized.map(({ arm, cpuMicros }) => ({
        label: armTitle(arm),
        value: cpuMicros,
        ours: ours(arm),
      })),
    },
    ...results.connections.map((connections, index) => ({
      title: `Resident memory with ${number(connections)} connections, MiB`,
      bars: results.sized.map(({ arm, at }) => ({
        label: armTitle(arm),
        value: at[index].rssMiB,
        ours: ours(arm),
      })),
    })),
  ]
  return barChart('One core, 4 GB', 'medians, whiskers smallest–largest', groups)
}
