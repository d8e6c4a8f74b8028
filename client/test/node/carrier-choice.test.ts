import { SennitError } from '@sennit/protocol'
import { describe, expect, it } from 'vitest'
import { readCarriers } from '../../src/node/carrier-choice.ts'
import { checkBind } from '../../src/node/client-options.ts'

const relays = ['r1', 'r2'].map((relayId) => ({ relayId, urls: [] }))
const all = ['upgrade', 'http', 'grpc']

describe('the carriers a client may use', () => {
  it.each([
    [undefined, all, {}],
    [['http'], ['http'], {}],
    ['grpc, http', ['grpc', 'http'], {}],
    ['r1=http', all, { r1: ['http'] }],
    ['r1=http,upgrade;r2=grpc', all, { r1: ['http', 'upgrade'], r2: ['grpc'] }],
    ['upgrade;r1=http', ['upgrade'], { r1: ['http'] }],
    ['r1=http;*=upgrade,grpc', ['upgrade', 'grpc'], { r1: ['http'] }],
    [{ r1: ['http'], '*': ['upgrade', 'grpc'] }, ['upgrade', 'grpc'], { r1: ['http'] }],
  ])('%j', (option, carriers, carriersOf) => {
    expect(readCarriers(option, relays)).toEqual({ carriers, carriersOf })
  })

  it.each([
    ['pigeon', /upgrade, http, grpc; found "pigeon"/],
    ['', /one or more of upgrade, http, grpc/],
    ['r1=', /one or more of upgrade, http, grpc for r1/],
    ['r9=http', /a relay of the list, r1, r2, or \* for the others; found "r9"/],
    ['R1=http', /a relay of the list, r1, r2/],
    ['r1=http;r1=grpc', /the carriers of r1 once/],
    ['http;*=grpc', /the other relays once/],
    [{ r1: ['websocket'] }, /upgrade, http, grpc for r1; found "websocket"/],
  ])('%j is refused, with what is known', (option, says) => {
    expect(codeAndText(() => readCarriers(option, relays))).toEqual(['bad_carriers', expect.stringMatching(says)])
  })
})

describe('the addresses a client dials from', () => {
  it('are any of both families', () => {
    expect(checkBind(['192.0.2.7', '2001:db8::7'])).toEqual(['192.0.2.7', '2001:db8::7'])
  })

  it.each([
    [['eth0'], /"eth0" is no IP address/],
    [['192.0.2.7', '192.0.2.7'], /stands twice/],
    [[], /1 to 8 addresses; found 0/],
    [Array.from({ length: 9 }, (_, place) => `192.0.2.${place}`), /1 to 8 addresses; found 9/],
  ])('%j are refused', (addresses, says) => {
    expect(codeAndText(() => checkBind(addresses))).toEqual(['bad_bind', expect.stringMatching(says)])
  })
})

function codeAndText(run: () => unknown): [string, string] {
  try {
    run()
  } catch (error) {
    if (error instanceof SennitError) return [error.code, error.message]
    throw error
  }
  throw new Error('expected it to be refused')
}
