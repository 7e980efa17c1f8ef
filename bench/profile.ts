/** Where the data thread spends its time: runs Millrace under load with V8's profiler and prints the top functions. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { millrace, repository } from './arms/millrace.ts'
import { loadCore, type Session, withArm, withSession } from './load/session.ts'
import { workloads } from './load/throughput.ts'
import { warmupParts } from './load/warm-up.ts'
import { runWrk } from './load/wrk.ts'
import { readOptions } from './options.ts'
import { Progress } from './report/progress.ts'
import type { Results } from './report/results.ts'
import { type CpuProfile, type ProfileSummary, summariseProfile } from './stats/cpu-profile.ts'
import { describeMachine } from './stats/machine.ts'
import { seededRandom } from './stats/random.ts'

const usage = `node bench/profile.ts [--part 64b|pipelined|64k|1m|upload] [--seconds 5] [--top 30] [--out DIR]
  [--main] (the main thread instead of the data thread) [--node-options "--cpu-prof-interval=100"]`

const { values } = parseArgs({
  options: {
    part: { type: 'string', default: '64b' },
    seconds: { type: 'string', default: '5' },
    top: { type: 'string', default: '30' },
    out: { type: 'string', default: join(repository, 'bench/results/profile') },
    main: { type: 'boolean', default: false },
    'node-options': { type: 'string', default: '--cpu-prof-interval=250' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(usage)
} else {
  const controller = new AbortController()
  process.once('SIGINT', () => controller.abort(new Error('interrupted')))
  const options = readOptions(['--seconds', values.seconds])
  const results: Results = {
    startedAt: new Date().toISOString(),
    machine: describeMachine(repository),
    seed: options.seed,
    rounds: 1,
    seconds: options.seconds,
    samples: [],
    idle: [],
    soak: undefined,
    notes: [],
  }
  const progress = new Progress(options.warmup + options.seconds + 5)
  const parts = { options, random: seededRandom(options.seed), progress, results, signal: controller.signal }
  const summary = await withSession(parts, profileRun)
  const seconds = (summary.activeMs + summary.idleMs) / 1000
  console.log(
    `\n${values.part}: ${(summary.activeMs / 1000).toFixed(1)} s busy of ${seconds.toFixed(1)} s, by self time`,
  )
  for (const { place, milliseconds, share } of summary.functions.slice(0, Number(values.top))) {
    console.log(
      `${(share * 100).toFixed(1).padStart(6)} %  ${milliseconds.toFixed(0).padStart(7)} ms  ${place}`,
    )
  }
  console.log(`\nwhole profiles (open in a browser's developer tools): ${values.out}/*.cpuprofile`)
}

async function profileRun(session: Session): Promise<ProfileSummary> {
  const workload = workloads.find((candidate) => candidate.part === values.part)
  if (workload === undefined) throw new Error(`--part: no "${values.part}"; ${usage}`)
  const [node, ...rest] = session.options.millraceCommand
  mkdirSync(values.out, { recursive: true })
  const known = new Set(readdirSync(values.out))
  const flags = ['--cpu-prof', `--cpu-prof-dir=${values.out}`, ...values['node-options'].split(' ')]
  const changes = {
    millraceCommand: [node, ...flags, ...rest],
    pipelining: workload.part === 'pipelined' ? 8 : 1,
  }
  let loadStarted = 0
  await withArm(session, millrace, changes, async (running) => {
    const load = {
      url: `http://127.0.0.1:${running.port}${workload.path}`,
      connections: workload.connections,
      cores: loadCore,
      upload: workload.upload,
    }
    for (const seconds of warmupParts(session.options.warmup))
      await runWrk(session.processes, { ...load, seconds })
    loadStarted = performance.now()
    const { requests, seconds, errors } = await runWrk(session.processes, {
      ...load,
      seconds: session.options.seconds,
    })
    session.progress.say(`${Math.round(requests / seconds)} req/s under the profiler, ${errors} errors`)
  })
  const sinceLoad = performance.now() - loadStarted
  const files = readdirSync(values.out).filter((file) => file.endsWith('.cpuprofile') && !known.has(file))
  const summaries = files.filter(ofWantedThread).map((file) => readProfile(join(values.out, file), sinceLoad))
  const busiest = summaries.sort((a, b) => b.activeMs - a.activeMs)[0]
  if (busiest === undefined) throw new Error(`no profile of that thread was written to ${values.out}`)
  return busiest
}

/** CPU.<date>.<time>.<pid>.<thread>.<number>.cpuprofile; thread 0 is the main thread. */
function ofWantedThread(file: string): boolean {
  return (file.split('.')[4] === '0') === values.main
}

/** Start and warm-up are left out: only what came since the load began counts. */
function readProfile(path: string, lastMs: number): ProfileSummary {
  return summariseProfile(JSON.parse(readFileSync(path, 'utf8')) as CpuProfile, repository, lastMs)
}
