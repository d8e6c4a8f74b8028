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
  initMesh,
  type MeshOptions,
  type RelaySpec,
  removeRelay,
  renewRelayKey,
  type SignedRelays,
  signRelays,
} from './mesh-directory.ts'
export { readRelayList, readUserList } from './mesh-lists.ts'
export { addUser, addUsers, listUsers, renewUser, revokeUser, type UserOptions } from './mesh-users.ts'
export { loopbackLimits } from './relay-toml.ts'
