export { nodeCrypto } from './crypto.ts'
export { freePorts } from './free-ports.ts'
export { readCredential, readKeyFile, readMeshTrust, readRelayIdentity, writeCredential } from './key-files.ts'
export {
  addRelay,
  addUser,
  initMesh,
  listUsers,
  type MeshOptions,
  type RelaySpec,
  readRelayList,
  readUserList,
  renewRelayKey,
  revokeUser,
  type UserOptions,
} from './mesh-directory.ts'
