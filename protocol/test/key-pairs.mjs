// Makes as many key pairs as argv[2] says, with the built package.
import { nodeCrypto } from '@sennit/protocol/node'

const crypto = nodeCrypto()
for (let count = Number(process.argv[2]); count > 0; count -= 2) {
  crypto.generateX25519()
  crypto.generateEd25519()
}
