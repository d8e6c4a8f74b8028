// Basics

export { ByteReader } from './byte-reader.ts'
export { ByteWriter } from './byte-writer.ts'
export {
  base64url,
  compareBytes,
  concat,
  emptyBytes,
  equalBytes,
  hex,
  textOf,
  totalBytes,
  unbase64url,
  unhex,
  utf8,
} from './bytes.ts'
// Control messages of a hop
export { controlBytesMax, decodeControl, encodeControl, relayListBytesMax } from './control/codec.ts'
export type { HopControl, ListenRefusedCode, ResultCode } from './control/types.ts'
export { type Aead, type CryptoProvider, hkdf, type KeyPair, keyBytes, tagBytes } from './crypto.ts'
export { Deque } from './deque.ts'
// The end handshake
export { CallerHandshake, type CallerHandshakeResult } from './end/caller-handshake.ts'
export { checkKeyModes, splitName } from './end/checks.ts'
export { ListenerHandshake } from './end/listener-handshake.ts'
export { applicationBytesMax, END_CREDENTIAL, END_VARIANT, endMessageBytesMax, nameBytesMax } from './end/messages.ts'
export { type EndHandshakeOptions, type EndHandshakeResult, type EndRequest, FEATURE, KEY_MODE, type KeyMode } from './end/types.ts'
export { type ErrorCode, errorCodes, ProtocolError, SennitError } from './errors.ts'
export { decodeFrames } from './frame/decode.ts'
export { encodeFrame, encodeFrames, frameBytes } from './frame/encode.ts'
export {
  type AckFrame,
  type AckRange,
  type AckState,
  ackRangesMax,
  type CloseFrame,
  type CreditFrame,
  closeMessageBytesMax,
  codeBytesMax,
  type DatagramFrame,
  type FinFrame,
  FRAME_TYPE,
  type Frame,
  type HelloFrame,
  helloNonceBytes,
  type MessageDeliveredFrame,
  type MessageRefusedFrame,
  type ModesOkFrame,
  type NothingFrame,
  type OpenFrame,
  type PathBadFrame,
  type PathsFrame,
  type PingFrame,
  type PlanFrame,
  type PlanModesFrame,
  type PlanNoFrame,
  type PlanOkFrame,
  type PlanRelay,
  pathsBytesMax,
  type RelayLiesFrame,
  type RelayMeasurement,
  type ReportFrame,
  type ResetFrame,
  relayIdBytesMax,
  relaysMax,
  type SeenFrame,
  type StopFrame,
  type StreamCount,
  type StreamFrame,
  streamCountsMax,
  streamHeaderBytesMax,
  type VerdictFrame,
} from './frame/types.ts'
// The hop link
export { CookieJar, cookieBytes, type HandshakeCookies } from './hop/cookie.ts'
export { HopLink } from './hop/link.ts'
export type { CredentialVerdict, EstablishedRelay, EstablishedUser, HopLinkOptions, LinkEffect, VersionRange } from './hop/types.ts'
// Noise
export {
  HandshakeState,
  type HandshakeStateOptions,
  type NoisePattern,
  type NoiseRole,
  noiseMessageBytesMax,
} from './noise/handshake-state.ts'
export { noiseNonce } from './noise/symmetric-state.ts'
// Packets and frames
export { datagramBytesMax, isKept, PACKET_KIND, type PacketHeader, packetBytesMax, packetPlaintextBytesMax } from './packet.ts'
// Keys of a connection
export { endVersion, PacketSealer } from './session/packet-sealer.ts'
export {
  connectionIdBytes,
  type DataKeySource,
  deriveSessionSecrets,
  type EndRole,
  type HandshakeKeys,
  joinTag,
  joinTagBytes,
  rotationStep,
  type SessionSecrets,
} from './session/secrets.ts'
// Shares of packets
export { ShareAssembler, type ShareAssemblerLimits, type ShareOutcome } from './share/assembler.ts'
export { type Share, ShareEncoder } from './share/encoder.ts'
export { checkShareScheme, type ShareScheme, shareBytes, sharesMax, shareThreshold } from './share/scheme.ts'
export { simulatorCrypto } from './simulator-crypto.ts'
// Trust: certificates, credentials, signed lists
export {
  certificateAllows,
  certificateBytesMax,
  certificateLifeMs,
  checkCertifiedKey,
  issueRelayCertificate,
  issueUserCertificate,
  type UserCertificateRequest,
  verifyRelayCertificate,
  verifyUserCertificate,
} from './trust/certificates.ts'
export { listBytesMax, signRelayList, signUserList, verifyRelayList, verifyUserList } from './trust/lists.ts'
export { issueMesh, issuerLifeMs, type MeshKeys, type NewMesh, parseMeshTrust } from './trust/mesh.ts'
export { checkName, isName } from './trust/names.ts'
export { type RelayLimitWord, relayLimitWords } from './trust/relay-limit-words.ts'
export { type TraitWords, traitsOfWords } from './trust/relay-traits.ts'
export { missingHeldMs, type SeenRelay, SeenRelays, worseTraits } from './trust/seen-relays.ts'
export type {
  Credential,
  MeshTrust,
  RelayCertificate,
  RelayEntry,
  RelayIdentity,
  RelayList,
  RelayTraits,
  UserCertificate,
  UserEntry,
  UserIdentity,
  UserList,
} from './trust/types.ts'
export { encodeVarint, varintBytes, varintMax, writeVarint } from './varint.ts'
export { WakeHeap } from './wake-heap.ts'
