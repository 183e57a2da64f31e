/** Where a worker finds its end of the socket pair: after the standard streams and Node's own channel. */
export const LINK_FD = 4
