/** Tunnels (RFC 9110 §7.8): bytes both ways after a 101 of the backend. They end when either side ends, after what is under
 * way has been delivered, or when nothing has passed for this long. */
export const tunnelIdleMs = 3_600_000
