import { startBackend } from '../arms/backend.ts'
import { millrace } from '../arms/millrace.ts'
import { shuffled } from '../stats/random.ts'
import { type Session, withArm } from './session.ts'
import { keepSample, measure } from './throughput.ts'

const bothCores = '0,1'
const load = { part: 'threads', path: '/64', connections: 64, upload: false }

/** One data thread against two. The load generator and the backend share the two cores with them, and say so. */
export async function measureThreads(session: Session): Promise<void> {
  const backend = await startBackend(session.processes, session.directory, bothCores, session.random)
  try {
    for (let round = 1; round <= session.options.rounds; round++) {
      for (const threads of shuffled([1, 2], session.random)) {
        const arm = threads === 1 ? 'millrace-1-thread' : 'millrace-2-threads'
        const changes = { threads, cores: bothCores, backendPort: backend.port }
        await keepSample(session, arm, `threads round ${round}/${session.options.rounds}`, () =>
          withArm(session, millrace, changes, (running) =>
            measure(session, running, { ...load, arm, round, cores: bothCores, armCores: [0, 1] }),
          ),
        )
      }
    }
  } finally {
    await backend.started.stop()
  }
}
