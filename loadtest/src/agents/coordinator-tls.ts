// TLS at the coordinator's door. Without a certificate of its own it makes one, and agents know it by its fingerprint, which the URL carries that they are
// told: https://10.0.0.5:7700#sha256=…
// biome-ignore lint/style/noRestrictedImports: one key, and not exported as JWK, which is what holds its lock
import { createHash, generateKeyPairSync, sign, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { SennitError } from '@sennit/protocol'

export interface CoordinatorTls {
  /** PEM. */
  readonly certificate: string
  /** PEM. */
  readonly key: string
  /** SHA-256 of the certificate, base64url; undefined: an authority signed it, and agents check it by its name. */
  readonly fingerprint: string | undefined
}

/** As it stands in the URL. */
export function fingerprintOf(certificate: Uint8Array): string {
  return createHash('sha256').update(certificate).digest('base64url')
}

/** Clocks of agents may be wrong, and the fingerprint is what counts. */
const selfSignedDays = 30

/** A certificate made for one run. */
export function selfSignedTls(nowMs: number = Date.now()): CoordinatorTls {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const ecdsaWithSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
  const name = sequence(tlv(0x31, sequence(oid(0x55, 0x04, 0x03), tlv(0x0c, Buffer.from('sennit test coordinator')))))
  const body = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.from([1])),
    ecdsaWithSha256,
    name,
    sequence(time(nowMs - selfSignedDays * 86_400_000), time(nowMs + selfSignedDays * 86_400_000)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
  )
  const der = sequence(body, ecdsaWithSha256, tlv(0x03, Buffer.from([0]), sign('sha256', body, privateKey)))
  return {
    certificate: new X509Certificate(der).toString(),
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    fingerprint: fingerprintOf(der),
  }
}

/** @throws SennitError `file_unreadable`, `file_malformed` when these are no certificate and the key of it */
export function tlsOfFiles(certificateFile: string, keyFile: string): CoordinatorTls {
  const [certificate, key] = [read('--tls-cert', certificateFile), read('--tls-key', keyFile)]
  try {
    createSecureContext({ cert: certificate, key })
    const { issuer, subject, raw } = new X509Certificate(certificate)
    return { certificate, key, fingerprint: issuer === subject ? fingerprintOf(raw) : undefined }
  } catch (cause) {
    throw new SennitError(
      'file_malformed',
      `expected a certificate in ${certificateFile} and its private key in ${keyFile}, both PEM; found ${(cause as Error).message}`,
      {},
      cause,
    )
  }
}

function read(option: string, file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new SennitError('file_unreadable', `${option}: cannot read ${file}: ${(cause as Error).message}`, {}, cause)
  }
}

// DER (X.690), as much as one certificate needs: Node makes keys but no certificates.

function tlv(tag: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  const { length } = body
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), body])
}

function sequence(...parts: Uint8Array[]): Buffer {
  return tlv(0x30, ...parts)
}

function oid(...bytes: number[]): Buffer {
  return tlv(0x06, Buffer.from(bytes))
}

/** UTCTime: two digits of the year, good until 2049. */
function time(atMs: number): Buffer {
  return tlv(0x17, Buffer.from(`${new Date(atMs).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))
}
