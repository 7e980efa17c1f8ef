/**
 * Kind `provisioner`: starts and stops nodes (a process, a container, a virtual machine). One instance per process, on the main
 * thread of an orchestrator; only the leader calls it.
 *
 * What happens outside cannot be undone by compare-and-set. So the leader first commits an `intent/<slot>` document, then
 * acts, then notes the outcome; a new leader finds the intents and {@link Provisioner.list}, and finishes or undoes. For that
 * every act is idempotent by the *slot*:
 * - `start` of a slot whose instance is there, of the same intent, returns it and starts nothing, also when the first call is
 *   still under way or its answer was lost.
 * - `stop` of what is not there succeeds.
 * - Every instance carries fleet, slot, intent and term where its platform can keep them (labels, environment); `list` finds
 *   all of the fleet that this plugin has ever started, whoever led then, and nothing else on the machine. What it did not start it never stops.
 * - An act with a smaller term than one it has seen is refused with `MR_FENCED`, where the platform can remember it.
 *
 * Errors: `MR_PROVISION` (refused: no image, no quota; trying again does not help until somebody acts), anything else: not
 * known, ask `list`. A call may take minutes; `signal` ends the waiting, not what has begun outside.
 */
import type { FencingToken } from './config-store.ts'
import type { FleetNode } from './process.ts'

export interface ProvisionRequest {
  /** Name of the place to fill, unique in the fleet and stable over replacements: `lb-3`. `[a-z0-9-]{1,63}`. */
  readonly slot: string
  /** Id of the intent; another intent for a slot whose instance is there is an error (`MR_PROVISION`): stop that one first. */
  readonly intent: string
  readonly term: FencingToken
  readonly role: FleetNode['role']
  /** What the node is started with: arguments after `millrace`, environment (secrets among them: not to be logged), and files
   * that must lie in its working directory. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly files: Readonly<Record<string, Uint8Array>>
}

export interface Provisioned {
  readonly slot: string
  readonly intent: string
  /** The platform's own name: a process id, a container's id. */
  readonly id: string
  /** `starting`: not known to run yet; `running`: the process runs, which does not mean ready; `stopped`: it has ended and only its
   * remains are there. */
  readonly state: 'starting' | 'running' | 'stopped'
  /** `host:port` where the node can be reached, where the platform knows it. */
  readonly address: string | undefined
  /** Wall clock of the start, milliseconds since 1970. */
  readonly startedAt: number
}

export interface StopOptions {
  readonly term: FencingToken
  /** How long it may take to drain after it was asked to end (SIGTERM), in milliseconds; then it is killed. */
  readonly graceMs: number
  readonly signal: AbortSignal
}

export interface Provisioner {
  /** Starts the node of a slot. Resolves when the platform has it (`starting` or `running`), not when it is ready. */
  start(request: ProvisionRequest, signal: AbortSignal): Promise<Provisioned>
  /** Ends the node of a slot and removes what it left. Resolves when it is gone. */
  stop(slot: string, options: StopOptions): Promise<void>
  /** All instances of this fleet that this plugin has started and that are still there in any state, sorted by slot. */
  list(signal: AbortSignal): Promise<readonly Provisioned[]>
}
