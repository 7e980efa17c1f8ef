/**
 * Kind `vip`: puts a virtual address on this machine. One instance per process, on the main thread of a DNS server (or whatever stands
 * behind the address). Who may hold the address is decided by a lease; this kind only obeys.
 *
 * **The address fences itself.** Two machines with one address are worse than none, and a holder may be stopped at any moment. So
 * every assignment has a lifetime that the *kernel* (or whatever does the same without this process) ends, and which is never
 * longer than the lease's `remainingMs()`: `ip addr … valid_lft N`. A plugin that rounds, rounds down; what is shorter than it can
 * set is refused, and the address taken off. No timer of this process is relied on for taking it off.
 *
 * The plugin touches only addresses that it was given, on the interface of its options. At stop it takes them off; a process that is
 * killed leaves them to their lifetime. An address that is there when it starts is left as it is until `assign` or `remove`.
 */
import type { ProcessContext } from './process.ts'

export interface VirtualAddress {
  /** IPv4 or IPv6, without a prefix length. */
  readonly address: string
  readonly prefixLength: number
}

export interface Vip {
  /**
   * Puts the address on, or extends it: the same call, every third of the lease's time to live. The first one tells the neighbours
   * (gratuitous ARP, unsolicited neighbour advertisement: 5 at once and 5 more after 5 s); an extension does not. When it was
   * called, the remaining lifetime was `lifetimeMs`; the time the call takes is part of it.
   *
   * @param lifetimeMs from the moment of the call; the address is off when it is over, whatever happens to this process
   * @returns false: not put on, as the lifetime is too short to set; the address is then off
   * @throws MR_VIP (no such interface, no permission); what is on stays until its lifetime is over
   */
  assign(address: VirtualAddress, lifetimeMs: number): Promise<boolean>
  /** Takes the address off; succeeds when it is not on. @throws MR_VIP: it stays until its lifetime is over */
  remove(address: VirtualAddress): Promise<void>
  /** Whether the address is on the interface now, as the system says it, not as this process remembers. */
  assigned(address: VirtualAddress): Promise<boolean>
}

export type VipContext = ProcessContext
