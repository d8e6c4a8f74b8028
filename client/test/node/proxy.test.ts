/** Which proxy a URL goes through: every row is a habit of curl that people rely on. */

import { describe, expect, it } from 'vitest'
import { bypassesProxy, parseProxy, proxyFor } from '../../src/node/proxy.ts'

const relay = 'http://relay.example.org:8443'

describe('proxyFor', () => {
  it.each([
    ['nothing is set', relay, {}, undefined],
    ['http_proxy counts for http', relay, { env: { http_proxy: 'http://p:1' } }, 'p:1'],
    ['HTTP_PROXY too', relay, { env: { HTTP_PROXY: 'http://p:1' } }, 'p:1'],
    ['lower case wins', relay, { env: { http_proxy: 'http://p:1', HTTP_PROXY: 'http://q:2' } }, 'p:1'],
    ['https_proxy does not count for http', relay, { env: { https_proxy: 'http://p:1' } }, undefined],
    ['https_proxy counts for https', 'https://relay.example.org', { env: { https_proxy: 'http://p:1' } }, 'p:1'],
    ['ALL_PROXY counts for both', relay, { env: { ALL_PROXY: 'http://p:1' } }, 'p:1'],
    ['an empty value is none', relay, { env: { http_proxy: '' } }, undefined],
    ['NO_PROXY wins over the environment', relay, { env: { http_proxy: 'http://p:1', no_proxy: 'example.org' } }, undefined],
    ['the option wins over NO_PROXY', relay, { proxy: 'http://o:3', env: { no_proxy: '*' } }, 'o:3'],
    ['the option none wins over everything', relay, { proxy: 'none', env: { http_proxy: 'http://p:1' } }, undefined],
    ['a bare host and port is http', relay, { proxy: 'p:3128' }, 'p:3128'],
    ['the port is 80 when none is given', relay, { proxy: 'http://p' }, 'p:80'],
    ['SOCKS has a port of its own', relay, { env: { ALL_PROXY: 'socks5h://s' } }, 's:1080'],
    ['IPv6 works', relay, { proxy: 'http://[::1]:3128' }, '::1:3128'],
  ])('%s', (_why, url, settings, expected) => {
    const proxy = proxyFor(new URL(url), { env: {}, ...settings })
    expect(proxy === undefined ? undefined : `${proxy.host}:${proxy.port}`).toBe(expected)
  })

  it('makes a basic login of user and password, decoded', () => {
    const { authorization } = parseProxy('http://ann:p%40ss@p:3128')
    expect(Buffer.from(authorization!.slice('Basic '.length), 'base64').toString()).toBe('ann:p@ss')
  })

  it('knows whose names the proxy resolves, and the login of SOCKS', () => {
    expect(parseProxy('socks5://ann:p%40ss@s:1')).toEqual({ kind: 'socks5', host: 's', port: 1, login: { user: 'ann', password: 'p@ss' } })
    expect(parseProxy('socks5h://s:1')).toEqual({ kind: 'socks5h', host: 's', port: 1 })
  })

  it.each(['socks4://p:1080', 'https://p:443', 'http://'])('refuses %s, without showing a password', (text) => {
    expect(() => parseProxy(text)).toThrow(expect.objectContaining({ code: 'bad_proxy' }))
    expect(() => parseProxy('ftp://ann:s3cret@p:1')).toThrow(expect.not.stringContaining('s3cret'))
  })
})

describe('bypassesProxy', () => {
  it.each([
    ['*', relay, true],
    ['relay.example.org', relay, true],
    ['RELAY.example.ORG', relay, true],
    ['example.org', relay, true],
    ['.example.org', relay, true],
    ['ample.org', relay, false],
    ['other.org, example.org', relay, true],
    ['example.org:8443', relay, true],
    ['example.org:80', relay, false],
    ['10.0.0.0/8', 'http://10.1.2.3', true],
    ['10.0.0.0/8', 'http://11.1.2.3', false],
    ['127.0.0.1', 'http://127.0.0.1:1', true],
    ['::1', 'http://[::1]:1', true],
    ['', relay, false],
  ])('%s covers %s: %s', (list, url, expected) => {
    expect(bypassesProxy(new URL(url), list)).toBe(expected)
  })
})
