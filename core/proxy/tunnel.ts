/** Tunnels (RFC 9110 §7.8): bytes both ways after a 101 of the backend. */

/** A tunnel through which nothing passes for this long is ended. */
export const tunnelIdleMs = 3_600_000

/** The same once one side has said that it sends nothing more: what is under way may still be delivered, but a peer that
 * never ends its own side must not keep the tunnel. */
export const halfClosedIdleMs = 10_000
