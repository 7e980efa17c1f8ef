/** Metric families of the process: connections, errors, threads, config. */
import type { PluginState } from '../threads/plugin-health.ts'
import type { Family, MetricsSources, NodeState, Sample } from './family.ts'
import { errorCodes, threadLayout } from './thread-metrics.ts'

const none = {}

export const nodeFamilies: readonly Family[] = [
  {
    name: 'millrace_client_connections',
    type: 'gauge',
    help: 'Client connections open.',
    labels: [],
    read: ({ table }) => [[none, table.clients.reduce((sum, count) => sum + count, 0)]],
  },
  {
    name: 'millrace_client_connections_total',
    type: 'counter',
    help: 'Client connections accepted.',
    labels: [],
    read: ({ reader }) => [[none, reader.total(threadLayout.clients)]],
  },
  {
    name: 'millrace_client_bytes_total',
    type: 'counter',
    help: 'Bytes read from (in) and written to (out) clients.',
    labels: ['direction'],
    read: ({ reader }) => [
      [{ direction: 'in' }, reader.total(threadLayout.bytesIn)],
      [{ direction: 'out' }, reader.total(threadLayout.bytesOut)],
    ],
  },
  {
    name: 'millrace_tunnels',
    type: 'gauge',
    help: 'Upgraded connections (WebSocket) open.',
    labels: [],
    read: ({ reader }) => [[none, reader.total(threadLayout.tunnels)]],
  },
  {
    name: 'millrace_errors_total',
    type: 'counter',
    help: "Answers of the proxy's own and refused connections, by error code.",
    labels: ['code'],
    read: ({ reader }) =>
      errorCodes
        .map((code, index): Sample => [{ code }, reader.total(threadLayout.rejected + index)])
        .filter(([, value]) => value > 0),
  },
  {
    name: 'millrace_plugins_faulted_total',
    type: 'counter',
    help: 'Faults of plugins: a throw, a missed deadline, a pick of what must not be picked.',
    labels: [],
    read: ({ reader }) => [[none, reader.total(threadLayout.pluginFaults)]],
  },
  {
    name: 'millrace_plugins_unhealthy',
    type: 'gauge',
    help: '1 while a plugin has had 10 faults or more within the last minute, or is replaced by another version or a stand-in, or waits to be made anew; plugins that were never at fault are not listed.',
    labels: ['kind', 'plugin'],
    read: (sources) => perPlugin(sources, ({ healthy }) => Number(!healthy)),
  },
  {
    name: 'millrace_plugins_recent_faults',
    type: 'gauge',
    help: 'Faults of a plugin within the last minute.',
    labels: ['kind', 'plugin'],
    read: (sources) => perPlugin(sources, ({ recent }) => recent),
  },
  {
    name: 'millrace_plugins_crashes_total',
    type: 'counter',
    help: 'Throws of a plugin outside of its hooks: each has ended a data thread or, on the main thread, its instances.',
    labels: ['kind', 'plugin'],
    read: (sources) => perPlugin(sources, ({ crashes }) => crashes),
  },
  {
    name: 'millrace_event_loop_stalls_total',
    type: 'counter',
    help: 'Times a thread stood still for over a second; thread is its index or main.',
    labels: ['thread'],
    read: (sources) => perThread(sources, threadLayout.stalls, (stalls) => stalls.count),
  },
  {
    name: 'millrace_event_loop_stall_seconds_total',
    type: 'counter',
    help: 'How long those stalls lasted.',
    labels: ['thread'],
    read: (sources) =>
      perThread(sources, threadLayout.stallMs, (stalls) => stalls.ms).map(
        ([labels, ms]): Sample => [labels, ms / 1000],
      ),
  },
  {
    name: 'millrace_thread_up',
    type: 'gauge',
    help: '1 while a data thread serves, 0 while it is being replaced.',
    labels: ['thread'],
    read: (sources) =>
      sources.node().threads.map(({ ready }, thread) => [{ thread: String(thread) }, Number(ready)]),
  },
  {
    name: 'millrace_thread_restarts_total',
    type: 'counter',
    help: 'Times a data thread died and was replaced.',
    labels: ['thread'],
    read: (sources) =>
      sources.node().threads.map(({ restarts }, thread) => [{ thread: String(thread) }, restarts]),
  },
  {
    name: 'millrace_config_revision',
    type: 'gauge',
    help: 'Revision of the config that is served; counts up with each applied change.',
    labels: [],
    read: (sources) => [[none, sources.node().revision]],
  },
  {
    name: 'millrace_config_last_reload_successful',
    type: 'gauge',
    help: '1 when the last config that was read is the one that is served, 0 when it was refused.',
    labels: [],
    read: (sources) => [[none, Number(sources.node().lastReload.ok)]],
  },
  {
    name: 'millrace_config_last_reload_timestamp_seconds',
    type: 'gauge',
    help: 'When the last config was read, applied or refused; Unix time.',
    labels: [],
    read: (sources) => [[none, sources.node().lastReload.at / 1000]],
  },
  {
    name: 'millrace_draining',
    type: 'gauge',
    help: '1 from the start of a drain.',
    labels: [],
    read: (sources) => [[none, Number(sources.node().draining)]],
  },
  {
    name: 'millrace_build_info',
    type: 'gauge',
    help: 'Always 1; what runs is in the labels.',
    labels: ['version', 'node'],
    read: (sources) => [[{ version: sources.node().version, node: process.versions.node }, 1]],
  },
  {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    help: 'CPU time of the process, all threads.',
    labels: [],
    read: () => {
      const { user, system } = process.cpuUsage()
      return [[none, (user + system) / 1e6]]
    },
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    help: 'Resident memory of the process.',
    labels: [],
    read: () => [[none, process.memoryUsage.rss()]],
  },
]

function perPlugin(sources: MetricsSources, value: (state: PluginState) => number): Sample[] {
  return (sources.node().plugins ?? []).map((state): Sample => {
    const { kind, plugin } = state
    return [{ kind, plugin }, value(state)]
  })
}

function perThread(
  { reader, node }: MetricsSources,
  cell: number,
  main: (stalls: NonNullable<NodeState['mainStalls']>) => number,
): Sample[] {
  const { mainStalls, threads } = node()
  const samples = reader.threads
    .map(({ cells }, row): Sample => [{ thread: String(row) }, cells[cell]])
    // Rows beyond the threads are used only while one of them is replaced.
    .filter(([, value], row) => row < threads.length || value > 0)
  if (mainStalls) samples.push([{ thread: 'main' }, main(mainStalls)])
  return samples
}
