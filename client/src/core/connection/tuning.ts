/** The numbers of a connection, each with its reason. Tests and operators may replace any of them. */
export interface ConnectionTuning {
  /** Packets that may wait for one ack. Higher saves packets, lower tells the sender sooner. @default 2 */
  readonly ackEveryPackets: number
  /** Longest wait of a lone packet for its ack. @default 25 */
  readonly ackDelayMs: number
  /** The same where no other relay could take over: it goes with what is sent by then. @default 2 000 */
  readonly loneAckDelayMs: number
  /** Probe timeouts grow at least this much over the smoothed round trip. @default 10 */
  readonly varianceFloorMs: number
  /** Round trip assumed before any was measured. @default 333 */
  readonly firstRttMs: number
  /** Least silence of a path after another path's copy was acked before it is called bad. @default 150 */
  readonly verdictSilenceMs: number
  /** A verdict waits this long once its time has come, so that one turn of the event loop reads every socket first. @default 1 */
  readonly verdictTurnMs: number
  /** Longest pause between two probes of a silent path. @default 2 000 */
  readonly probePauseMaxMs: number
  /** Longest pause between two hellos of a path that is not validated. @default 5 000 */
  readonly helloPauseMaxMs: number
  /** Probes answered while no ack of the path's data comes, before the path is taken for one that swallows data. @default 4 */
  readonly swallowedProbes: number
  /** Ping on the active and on the standby path when nothing else was heard there. @default 60 000 */
  readonly idlePingMs: number
  /** A loop this late was asleep: nobody is judged, everybody is probed. @default 500 */
  readonly pauseMs: number
  /** The connection ends after this long without a valid packet. @default 120 000 */
  readonly deathMs: number
  /** What a close waits for acks while there is a path. @default 30 000 */
  readonly lingerMs: number
  /** How long the end that was told of the close leaves its paths open for its ack to get out. @default 3 000 */
  readonly partingMs: number
  /** How long a closed connection answers late packets. @default 600 000 */
  readonly tombstoneMs: number
  /** Age, packets and bytes of a key epoch. @default 120 000, 2^20, 1 GiB */
  readonly epochMs: number
  readonly epochPackets: number
  readonly epochBytes: number
  /** After this long in "please wait" one packet tries another path. @default 5 000 */
  readonly waitElsewhereMs: number
  /** A relay repeats "please wait" each second; this long without it means that it fell silent. @default 3 000 */
  readonly waitStaleMs: number
  /** A mode that lost paths goes on with those that are left for so long, where it tolerates that; then it waits or fails. @default 10 000 */
  readonly pathsGraceMs: number
  /** "No path" is said again this often while it lasts. @default 5 000 */
  readonly wantPathsEveryMs: number
  /** Memory of unacked packets (bytes + 256 each) before new data waits. Control may use 64 KiB more. @default 96 MiB */
  readonly unackedBytesMax: number
  /** Packets from the oldest not yet acked to the newest; the receiver drops what is further ahead than twice this. @default 32 768 */
  readonly unackedPacketsMax: number
  /** Forged payloads on one path within ten seconds that make it bad. @default 16 */
  readonly forgedMax: number
}

export const connectionTuning: ConnectionTuning = {
  ackEveryPackets: 2, // RFC 9000 §13.2.2
  ackDelayMs: 25, // RFC 9000 max_ack_delay
  loneAckDelayMs: 2_000, // what is said once a second in each direction carries the acks of the other
  varianceFloorMs: 10, // a Node event loop is late by milliseconds without anything being wrong
  firstRttMs: 333, // RFC 9002 §6.2.2
  verdictSilenceMs: 150, // long enough for a garbage collection at the relay, short enough for the promised 500 ms
  verdictTurnMs: 1, // timers run before sockets in a turn of the loop; one more turn has read them all
  probePauseMaxMs: 2_000, // a path that comes back after a long silence is noticed within this
  helloPauseMaxMs: 5_000, // the cap of every retry while a connection is without a path
  swallowedProbes: 4, // about a second at loopback; progress on the path starts the count again
  idlePingMs: 60_000, // phones' radios; hop heartbeats find dead relays much sooner
  pauseMs: 500, // a loop late by half a second was suspended, not busy
  deathMs: 120_000, // a relay restart, a changed network and a laptop lid fit in two minutes
  lingerMs: 30_000, // what an application may be made to wait for its last bytes
  partingMs: 3_000, // three round trips of the slowest link served
  tombstoneMs: 600_000, // five times the death of the other end
  epochMs: 120_000, // a stolen key opens two minutes
  epochPackets: 2 ** 20, // well under the limits of ChaCha20-Poly1305
  epochBytes: 2 ** 30, // the same by volume
  waitElsewhereMs: 5_000, // a slow reader is slow on every path; five seconds tell it from a slow relay
  waitStaleMs: 3_000, // three repeats missed
  pathsGraceMs: 10_000, // a verdict, a plan and a join take under two seconds; a relay that restarts is back in five
  wantPathsEveryMs: 5_000, // the cap of the dial back-off while without a path
  unackedBytesMax: 96 * 2 ** 20, // six streams at their full 16 MiB window
  unackedPacketsMax: 32_768, // 1 200-byte packets of 32 MiB
  forgedMax: 16, // chance flips are rarer than this; a relay that corrupts is not
}
