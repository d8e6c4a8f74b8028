/** The numbers of streams and credit, each with its reason. */

/** Bytes of credit a stream opens with, known to both ends: one packet of the size used before anything is measured. */
export const initialCreditBytes = 16_384

/** The first window granted on demand: enough for 100 Mbit/s × 80 ms, and 16 of them fit the default budget. */
export const firstWindowBytes: number = 1024 * 1024

/** Where doubling ends unless the option says otherwise: 1 Gbit/s × 100 ms is 12 MiB. */
export const windowBytesDefault: number = 16 * 1024 * 1024

/** The greatest window an option may ask for, and the most a sender holds unread by its peer, whatever the peer grants. */
export const windowBytesMax: number = 64 * 1024 * 1024

/** Receive budget of one connection; half of it is the 16 KiB of 1 024 streams, the other half is granted on demand. */
export const receiveBudgetBytesDefault: number = 32 * 1024 * 1024

/** Streams each end may have open at a time: what half the budget covers. */
export const streamsMaxDefault = 1024

/** The longest message taken and sent, unless the option says otherwise. */
export const messageBytesMaxDefault: number = 64 * 1024 * 1024

/** Message bytes that may wait for credit before the application is asked to wait: a few round trips of small messages. */
export const messageQueueBytes: number = 1024 * 1024

/** Parts that may wait for the bytes before them, over all streams: 16 MiB in flight in packets of 256 bytes, 20 MB of memory. */
export const partsMax = 65_536

/** Refusals (of messages, of streams) that may wait to be sent or acked: a peer that causes more of them is not honest. */
export const refusalsMax = 1024

/**
 * Bytes taken from the application and not cut into packets yet, above which a writer is asked to wait although there is credit: what several
 * bursts of packets take. More would only grow old in memory before it leaves.
 */
export const unsentBytesMax: number = 1024 * 1024

/** Our own writes below this are gathered into one buffer: copying 2 KiB costs less than carrying one more frame. */
export const gatherBytes = 2048

/** Room kept in front of a cut for the frame around it: type 1, length 4, stream id 8 and offset 8, rounded up. */
export const streamFrameOverheadBytes = 24

/** An upper bound of every control frame but `open`: type and length 3, three numbers of 8. */
export const controlFrameBytesMax = 32

/** A stream that got less than this in its turn stays first in line, so that a packet's last gap is not a whole turn. */
export const turnBytes = 16_384

/** Error codes at and above this are the protocol's own; applications use those below. */
export const applicationErrorCodes = 0xffff_0000

/** `reset` and `stop` with this code: the peer has as many streams as it takes. */
export const streamRefusedCode = 0xffff_0001

/** `messageRefused` with this code: the message is longer than the peer takes. */
export const messageTooLargeCode = 0xffff_0002
