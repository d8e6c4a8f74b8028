export { privateMode, publicMode, readNamedFile, writeFileAtomically } from './atomic-file.ts'
export { type ConsulAddress, isConsulUrl, parseConsulUrl } from './consul/consul-address.ts'
export { ConsulAgent, type ConsulWatcher } from './consul/consul-agent.ts'
export { type RelayRegistration, urlsMax } from './consul/consul-rows.ts'
export { nodeCrypto } from './crypto.ts'
export { freePorts } from './free-ports.ts'
export { growHeapFast } from './heap-growth.ts'
export { readCredential, readKeyFile, readMeshTrust, readRelayIdentity, writeCertificateFile, writeCredential } from './key-files.ts'
export {
  addRelay,
  addUser,
  addUsers,
  initMesh,
  listUsers,
  type MeshOptions,
  type RelaySpec,
  readRelayList,
  readUserList,
  removeRelay,
  renewRelayKey,
  renewUser,
  revokeUser,
  type SignedRelays,
  signRelays,
  type UserOptions,
} from './mesh-directory.ts'
export { loopbackLimits } from './relay-toml.ts'
