/** What the limits of a relay are called in the table `[limits]` of its configuration, and in the program. */
export const relayLimitWords = {
  new_per_second: 'newPerSecond',
  new_burst: 'newBurst',
  open_per_address: 'openPerAddress',
  open_unauthenticated: 'openUnauthenticated',
  attachments: 'attachments',
  attachments_per_user: 'attachmentsPerUser',
  listens_per_user: 'listensPerUser',
  requests_per_attachment: 'requestsPerAttachment',
  held_requests: 'heldRequests',
  lookups_per_second: 'lookupsPerSecond',
  lookups_burst: 'lookupsBurst',
  offers_per_attachment: 'offersPerAttachment',
  joins_per_attachment: 'joinsPerAttachment',
  circuits_per_attachment: 'circuitsPerAttachment',
  circuits_per_user: 'circuitsPerUser',
  memory_bytes: 'memoryBytes',
  destination_bytes: 'destinationBytes',
  credit_start_bytes: 'creditStartBytes',
  credit_floor_bytes: 'creditFloorBytes',
  credit_max_bytes: 'creditMaxBytes',
  user_bytes_per_second: 'userBytesPerSecond',
  user_bytes_per_day: 'userBytesPerDay',
  busy_bytes_per_second: 'busyBytesPerSecond',
  busy_attachments: 'busyAttachments',
  write_stall_ms: 'writeStallMs',
} as const

/** One of the table's keys. */
export type RelayLimitWord = keyof typeof relayLimitWords
