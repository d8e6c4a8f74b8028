/** The numbers of meeting and moving, each with its reason. A test or an operator may replace any of them. */
export interface ClientTuning {
  /** Attachments a client keeps when it only calls. */
  readonly attachedMin: number
  /** A list up to this long is attached to whole while listening or waiting. */
  readonly attachedMax: number
  readonly raceStepMs: number
  readonly dialTimeoutMs: number
  readonly establishTimeoutMs: number
  readonly backoffBaseMs: number
  readonly backoffCalmBaseMs: number
  readonly backoffCapMs: number
  readonly backoffUrgentCapMs: number
  readonly backoffResetMs: number
  readonly awayMs: number
  readonly awayPaceMinMs: number
  readonly awayPaceMaxMs: number
  readonly awayAfterMs: number
  readonly restAfterFailures: number
  readonly restStepMs: number
  readonly restMaxMs: number
  readonly restServingMaxMs: number
  readonly releaseAfterMs: number
  readonly surveyEveryMs: number
  readonly askStepMs: number
  readonly waitMs: number
  readonly notRegisteredRetryMs: number
  readonly notRegisteredStepMs: number
  readonly yieldedAskAgainMs: number
  readonly confirmResendMs: number
  readonly supersedeMinMs: number
  readonly incomingMs: number
  readonly incomingMax: number
  readonly previousAfterMs: number
  readonly previousAgainMs: number
  readonly joinRetryMs: number
  readonly reportEveryMs: number
  readonly reportDebounceMs: number
  readonly repairAfterMs: number
  readonly repairSpreadMs: number
  readonly firstPlanWithinMs: number
  readonly roundMs: number
  readonly earlyRoundMs: number
  readonly planResendMs: number
  readonly tombstoneMs: number
  readonly tombstonesMax: number
  readonly leaveSpreadMs: number
  readonly allFirstMs: number
  readonly spareSpreadMs: number
  readonly standbySpreadMs: number
  readonly pathlessSpreadMs: number
  readonly promptEveryMs: number
  readonly returnWithinMs: number
  readonly returnEveryMs: number
}

/** Where to start; change one when a measurement says so. */
export const clientTuning: ClientTuning = {
  attachedMin: 3, // one active, one standby, one spare
  attachedMax: 8, // two ends that share a reachable relay of a list this long always meet
  raceStepMs: 250, // RFC 8305 connection attempt delay
  dialTimeoutMs: 1_500, // a relay further away than this is no use to anyone; a frozen one must not hold the race
  establishTimeoutMs: 3_000, // carrier open to authenticated: two round trips and two certificate checks on a busy relay
  backoffBaseMs: 250, // the first retry comes on average after an eighth of a second
  backoffCalmBaseMs: 1_000, // while other relays carry everything nothing hurries: 60 clients that redialled a killed relay within 250 ms doubled the pause of the bytes that were moving
  backoffCapMs: 30_000, // a relay that stays away is asked twice a minute
  backoffUrgentCapMs: 5_000, // measured: cap 30 s with both ends waiting gave p99 28 s after a return, cap 5 s 4.7 s
  backoffResetMs: 60_000, // a relay that lasts a minute is stable again
  awayMs: 30_000, // a relay that went in order is back within this, or the restart went wrong and the ordinary back-off takes over
  awayPaceMinMs: 250, // a refused dial costs next to nothing, and the next relay of a rolling restart goes when this one is back
  awayPaceMaxMs: 2_000, // slower than this, the next one would go before we are back
  awayAfterMs: 1_000, // a relay that sends us away sooner than this after taking us in is not restarting, it is failing
  restAfterFailures: 5, // five full-jitter tries span about four seconds
  restStepMs: 30_000, // each further failure rests a step longer
  restMaxMs: 300_000, // nobody is given up for more than five minutes
  restServingMaxMs: 30_000, // a listener cannot know which relays its callers reach, so it asks each as often as the ordinary back-off would: twice a minute at least
  releaseAfterMs: 10_000, // an attachment nobody wants lingers, so that a short flutter costs no handshake
  surveyEveryMs: 300_000, // every relay of the list is measured each five minutes
  askStepMs: 250, // requests go by rank this far apart: the best relay usually answers before the second is asked
  waitMs: 30_000, // a user's patience
  notRegisteredRetryMs: 5_000, // relays re-read the user list within a second; five cover a slow disk
  notRegisteredStepMs: 500, // ten tries in that time
  yieldedAskAgainMs: 5_000, // the younger asks again when the elder's attempt went nowhere
  confirmResendMs: 400, // the third handshake message is repeated on each circuit until confirmed, doubling
  supersedeMinMs: 2_000, // a live peer answers a ping in two seconds on any link we serve
  incomingMs: 30_000, // a caller that has not confirmed in half a minute has gone
  incomingMax: 1_024, // handshakes held before confirmation: about 4 KiB each
  previousAfterMs: 2_000, // joins alone bring back a healthy pair well before
  previousAgainMs: 5_000, // and the question is repeated at the pace of the urgent back-off
  joinRetryMs: 5_000, // full jitter up to this when a relay refuses a join
  reportEveryMs: 23_000, // between the 20 and 26 s of the probing table
  reportDebounceMs: 300, // attach and detach come in bursts; drawn from once to twice this, so that many connections do not answer one event in step
  repairAfterMs: 100, // after a failure bytes move first: nothing is planned or dialled meanwhile
  repairSpreadMs: 400, // then the next standby is sought at random within this, and not by a thousand connections in one instant
  firstPlanWithinMs: 1_000, // plan with what is known when the peer's numbers are this late
  roundMs: 23_000, // a probe round; three of them must agree before a healthy path moves
  earlyRoundMs: 2_000, // the first rounds follow the first pings closely, because the first choice was made on one sample
  planResendMs: 10_000, // a plan is kept, so silence this long means that the peer forgot: say it again
  tombstoneMs: 600_000, // a closed connection answers for ten minutes
  tombstonesMax: 256, // and no more than this many of them
  leaveSpreadMs: 2_000, // a relay that the list takes away is left within this, not by all at one instant; as relays tell on drain
  allFirstMs: 5_000, // 'all-first' stays at every relay this long: three pings, also behind a slow dial
  spareSpreadMs: 5_000, // after a loss, who has another relay looks for its next spare within this, not at once with all the others
  standbySpreadMs: 2_000, // whose connection has no standby goes sooner: a second loss would pause it
  pathlessSpreadMs: 250, // who has none goes as soon as a crowd may: one step of a race
  promptEveryMs: 1_000, // a relay is dialled out of turn no more often than this, however many connections stand still one after the other
  returnWithinMs: 30_000, // a relay that was killed and is started again is back within this, or the ordinary back-off takes over
  returnEveryMs: 1_000, // where the next loss is a pause for certain (a mode that needs all relays it has left), a lost relay is dialled about twice in this
}
