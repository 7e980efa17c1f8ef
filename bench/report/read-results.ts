/** results.json back from the disk: of this machine or out of an archive of CI. */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { MillraceError } from '../../core/host/errors.ts'
import { type BenchResults, resultsSchema } from './bench-results.ts'
import { looseNumber, readDocument } from './read-document.ts'

const fileName = 'results.json'

const quantiles = z.looseObject({
  count: z.number(),
  mean: looseNumber,
  p50: looseNumber,
  p90: looseNumber,
  p99: looseNumber,
  p999: looseNumber,
  max: looseNumber,
})

const estimate = z.looseObject({
  median: looseNumber,
  low: looseNumber,
  high: looseNumber,
  standardError: looseNumber,
  count: z.number(),
})

export const machineSchema = z.looseObject({
  cpu: z.string(),
  cores: z.number(),
  memoryBytes: z.number(),
  kernel: z.string(),
  node: z.string(),
  nginx: z.string(),
  haproxy: z.string(),
  commit: z.string(),
  loadAtStart: looseNumber,
})

const rate = z.looseObject({
  share: z.number(),
  arm: z.string(),
  kneePerSecond: z.number(),
  wantedPerSecond: z.number(),
  ofRig: z.boolean(),
  lowered: z.string().optional(),
})

const scenario = z.looseObject({
  name: z.string(),
  title: z.string(),
  load: z.enum(['closed', 'open']),
  connections: z.number(),
  ratePerSecond: z.number().optional(),
  rate: rate.optional(),
})

const threadUse = z.looseObject({
  thread: z.number(),
  seconds: z.number(),
  loopBusy: looseNumber,
  collections: z.number(),
  gcMs: looseNumber,
  longestMs: looseNumber,
  allocatedBytes: looseNumber,
  heapBytes: looseNumber,
})

const costs = z.looseObject({
  pid: z.number(),
  requests: z.number(),
  loadSeconds: z.number(),
  rss: z.array(z.tuple([looseNumber, looseNumber])),
  threads: z.array(threadUse),
  missing: z.record(z.string(), z.string()),
})

const block = z.looseObject({
  scenario: z.string(),
  arm: z.string(),
  round: z.number(),
  startedAt: z.number(),
  seconds: z.number(),
  requests: z.number(),
  failed: z.number(),
  values: z.record(z.string(), looseNumber),
  costs: costs.optional(),
  latency: quantiles.optional(),
  service: quantiles.optional(),
  lag: quantiles.optional(),
  curve: z.array(z.tuple([looseNumber, looseNumber])),
  faults: z.array(z.string()),
})

const comparison = z.looseObject({
  scenario: z.string(),
  metric: z.string(),
  arm: z.string(),
  baseline: z.string(),
  base: looseNumber,
  difference: estimate,
  relative: estimate,
  detectable: looseNumber,
  threshold: z.number(),
  change: z.number().optional(),
  outcome: z.enum(['worse', 'better', 'same', 'unclear']),
})

const knee = z.looseObject({
  arm: z.string(),
  backendDelayMs: z.number(),
  steps: z.array(z.looseObject({ connections: z.number(), requestsPerSecond: z.number() })),
  saturationPerSecond: z.number(),
  kneeConnections: z.number(),
  kneePerSecond: z.number(),
})

const gate = z.looseObject({
  scenario: z.string(),
  arm: z.string(),
  against: z.string(),
  outcome: z.enum(['met', 'missed', 'unclear']),
  added: estimate,
  addedByOther: estimate,
  limitMs: looseNumber,
  beyond: estimate,
  targetMet: z.boolean(),
})

/** Keys that this version does not know stay: they do no harm, and go into the new results.json. */
const schema = z.looseObject({
  schema: z.literal(resultsSchema),
  suite: z.string(),
  startedAt: z.string(),
  machine: machineSchema,
  seed: z.number(),
  confidence: z.number().gt(0).lt(1),
  arms: z.array(z.looseObject({ name: z.string(), title: z.string(), missing: z.string().optional() })),
  scenarios: z.array(scenario),
  loadGenerator: z.string().optional(),
  blocks: z.array(block),
  comparisons: z.array(comparison),
  knees: z.array(knee).optional(),
  gate: gate.optional(),
  notes: z.array(z.string()),
})

/**
 * @param path of the file, or of the folder that holds it
 * @throws MR_BENCH_FILE with what is wrong with it
 */
export function readResults(path: string): { readonly file: string; readonly results: BenchResults } {
  const isFolder = existsSync(path) && statSync(path).isDirectory()
  const file = isFolder ? join(path, fileName) : path
  if (isFolder && !existsSync(file))
    throw new MillraceError('MR_BENCH_FILE', `${path} holds no ${fileName}`, { path })
  const results = readDocument(file, {
    what: `${fileName} of \`millrace bench\``,
    version: resultsSchema,
    schema,
  })
  return { file, results: results as BenchResults }
}
