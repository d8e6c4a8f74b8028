/** Traits of relays where they are put together from parts that may be missing. */
import type { RelayTraits } from './types.ts'

/** The traits that are known. */
export function knownTraits(parts: { readonly [Name in keyof RelayTraits]: RelayTraits[Name] | undefined }): RelayTraits {
  const { region, price, securityRating, uptime, speedMbps, qos } = parts
  return {
    ...(region === undefined ? {} : { region }),
    ...(price === undefined ? {} : { price }),
    ...(securityRating === undefined ? {} : { securityRating }),
    ...(uptime === undefined ? {} : { uptime }),
    ...(speedMbps === undefined ? {} : { speedMbps }),
    ...(qos === undefined ? {} : { qos }),
  }
}

/** Traits as they are called in a configuration file and in Consul's metadata. */
export interface TraitWords {
  readonly region?: string | undefined
  readonly price?: number | undefined
  readonly security_rating?: number | undefined
  readonly uptime?: number | undefined
  readonly speed_mbps?: number | undefined
  readonly qos?: number | undefined
}

/** The traits that these words say. */
export function traitsOfWords(words: TraitWords): RelayTraits {
  const { region, price, security_rating: securityRating, uptime, speed_mbps: speedMbps, qos } = words
  return knownTraits({ region, price, securityRating, uptime, speedMbps, qos })
}
