import { expect, test } from 'vitest'
import { type Cell, check, errorsOf, type Sheets, twoClients } from './fixtures/sheets.ts'

const aDate: Cell = { kind: 'date', text: '1/1/26', timeOnly: false }
const aTime: Cell = { kind: 'date', text: '0:00:30', timeOnly: true }

const profiles = [['profile'], ['iot'], ['video'], ['bulk']]
const client = (column: string, value: Cell, more: Sheets = {}): Sheets => ({
  Clients: [
    ['client', column],
    ['a', value],
    ['b', ''],
  ],
  ...more,
})
const run = (key: string, value: Cell): Sheets => ({
  ...twoClients,
  Run: [
    ['key', 'value', 'note'],
    [key, value],
  ],
})
const fault = (columns: string[], values: Cell[], more: Sheets = {}): Sheets => ({ ...twoClients, Faults: [columns, values], ...more })
const limit = (columns: string[], values: Cell[], more: Sheets = {}): Sheets => ({ ...twoClients, Limits: [columns, values], ...more })

const rows: [why: string, sheets: Sheets, error: string][] = [
  [
    'a rate in words',
    client('rate', '10 per sec'),
    'Clients!B2 rate: expected a rate such as 10/s or 600/min; found "10 per sec". Did you mean 10/s? [W101]',
  ],
  [
    'a number without unit',
    client('attach_at', 30),
    'Clients!B2 attach_at: expected a duration such as 250ms, 30s, 5m or 2h; found 30. Did you mean 30s? [W102]',
  ],
  ['a size', client('data_limit', '4 K'), 'Clients!B2 data_limit: expected a size such as 64, 1500B or 4KiB; found "4 K" [W103]'],
  [
    'a bandwidth',
    client('read_rate', '64kbps'),
    'Clients!B2 read_rate: expected a bandwidth such as 64kbit/s or 1.5MB/s; found "64kbps". Did you mean 64kbit/s? [W104]',
  ],
  [
    'a date where a number belongs',
    run('seed', aDate),
    'Run!B2 seed: expected a whole number; found a date. Format the cell as Number [W106]',
  ],
  [
    'a time where a duration belongs',
    run('duration', aTime),
    'Run!B2 duration: expected a duration such as 250ms, 30s, 5m or 2h; found a time of day. Format the cell as Text [W106]',
  ],
  ['a fraction where a whole number belongs', run('seed', 1.5), 'Run!B2 seed: expected a whole number; found 1.5 [W107]'],
  [
    'a distribution',
    client('packet_size', 'uniform 64 1500'),
    'Clients!B2 packet_size: expected a distribution such as const(1024), uniform(64,1500), normal(1024,128), lognormal(1024,0.5), exp(1024) or mix(64:70%,1500:30%); found "uniform 64 1500". Did you mean uniform(64,1500)? [W108]',
  ],
  [
    'an address twice',
    client('bind', '127.0.0.2;127.0.0.2'),
    'Clients!B2 bind: expected 1 to 8 different addresses of its machine, such as 127.0.0.2,127.0.0.3; found "127.0.0.2;127.0.0.2" [W107]',
  ],
  [
    'a schedule',
    fault(['fault', 'when', 'target', 'action'], ['F1', '30s', 'relay:r1', 'kill']),
    'Faults!B2 when: expected a schedule such as at(30s), every(5m,±10%), poisson(0.2/s), once, never or after:F1+5s; found "30s". Did you mean at(30s)? [W109]',
  ],
  [
    'a name that is not there',
    client('profile', 'vidoe', { Profiles: profiles }),
    'Clients!B2 profile: expected one of the names in Profiles!A2:A4 (iot, video, bulk); found "vidoe". Nearest: video [W110]',
  ],
  [
    'a peer that is not there',
    client('peer', 'bb'),
    'Clients!B2 peer: expected the name of an enabled client (a, b); found "bb". Nearest: b [W110]',
  ],
  [
    'a relay that is not there',
    fault(['fault', 'when', 'duration', 'target', 'action'], ['F1', 'at(30s)', '3s', 'relay:r9', 'kill'], {
      Relays: [['relay'], ['r1'], ['r2'], ['r3'], ['r4']],
    }),
    'Faults!D2 target: expected a relay, zone, link, client or tag; found "relay:r9", no such relay in Relays!A2:A5. Nearest: relay:r1 [W111]',
  ],
  [
    'a word of a list',
    client('carrier', 'carrier pigeon'),
    'Clients!B2 carrier: expected one of auto, upgrade, http, grpc; found "carrier pigeon" [W112]',
  ],
  [
    'a name twice',
    { Clients: [['client'], ['a'], ['A']] },
    'Clients!A3 client: expected a name that is not used above (Clients!A2); found "A" again [W113]',
  ],
  [
    'a name missing',
    { Clients: [['client', 'note'], ['a'], ['', 'who?'], ['b']] },
    'Clients!A3 client: expected a name of letters, digits, dots, dashes and underscores (at most 63); found nothing [W114]',
  ],
  ['no clients', { Run: [['key', 'value']] }, 'Clients: expected at least two clients, one row each; found none [W114]'],
  [
    'a column nobody knows',
    client('rrate', 1),
    'Clients!B1 column: expected one of client, count, enabled, tags, zone, user, application, profile, peer, relays, bind, proxy, carrier, attach_at, detach_at, connect, session, disconnect, reconnect, packet_size, rate, burst, data_limit, key_mode, paths, read_rate, inject, expect, note, or a name that begins with x_ or #; found "rrate". Nearest: rate [W115]',
  ],
  [
    'a sheet nobody knows',
    { ...twoClients, Clientz: [['a']] },
    'Clientz: expected one of the sheets Run, Zones, Links, Relays, Profiles, Clients, Phases, Faults, Limits, or a name that begins with x_ or #; found "Clientz". Nearest: Clients [W116]',
  ],
  ['no header', { Clients: [['#'], ['client'], ['a']] }, 'Clients: expected a column client in row 1; found none of its columns [W117]'],
  ['too many', client('count', 50_000), 'Clients!B3 count: expected at most 50000 clients in all; found 1 [W118]'],
  [
    'a broken formula',
    client('rate', { kind: 'error', text: '#REF!' }),
    'Clients!B2 rate: expected a rate such as 10/s or 600/min; found #REF!. Correct the formula, or open and save the workbook so that it has a value [W119]',
  ],
  [
    'times in the wrong order',
    { Clients: [['client', 'attach_at', 'detach_at'], ['a', '50s', '20s'], ['b']] },
    'Clients!C2 detach_at: expected later than attach_at (Clients!B2 = 50s); found 20s [W120]',
  ],
  [
    'an odd one',
    { Clients: [['client'], ['a'], ['b'], ['c']] },
    'Clients!A4 peer: expected a peer, or an even number of clients without one (neighbours are paired); c is left over; found nothing [W121]',
  ],
  [
    'itself',
    client('peer', 'a'),
    'Clients!B2 peer: expected another client than a itself (a client cannot be connected to itself); found "a" [W121]',
  ],
  [
    'another application',
    {
      Clients: [
        ['client', 'application'],
        ['a', 'x'],
        ['b', 'y'],
      ],
    },
    'Clients!B3 application: expected "x" as its peer a (Clients!B2); found "y" [W121]',
  ],
  [
    'a dead relay',
    {
      ...twoClients,
      Faults: [
        ['fault', 'when', 'target', 'action', 'heal'],
        ['F1', 'at(10s)', 'relay:r1', 'kill', 'never'],
        ['F2', 'at(20s)', 'relay:r1', 'restart', ''],
      ],
    },
    'Faults!C3 target: expected a relay that is not gone (F1 holds relay:r1 for good from 10s); found "relay:r1" [W123]',
  ],
  [
    'a limit without a checker',
    limit(['limit', 'metric', 'op', 'value'], ['L1', 'lost', '=', 0], {
      Profiles: [
        ['profile', 'flow_check'],
        ['p', 'none'],
      ],
    }),
    'Limits!B2 metric: no enabled client has flow_check = full or counter, so "lost" cannot be measured; found lost [W131]',
  ],
  [
    'a window that cannot be',
    limit(['limit', 'metric', 'op', 'value', 'window'], ['L1', 'lost', '=', 0, 'steady']),
    'Limits!E2 window: expected run (lost is known for the whole run only); found steady [W132]',
  ],
  [
    'a stat that cannot be',
    limit(['limit', 'metric', 'stat', 'op', 'value'], ['L1', 'lost', 'p(99)', '=', 0]),
    'Limits!C2 stat: expected one of value, count for lost; found "p(99)" [W133]',
  ],
  [
    'a stall nobody can measure',
    limit(['limit', 'metric', 'op', 'value'], ['L1', 'stall', '<=', '50ms'], {
      Faults: [
        ['fault', 'target', 'action'],
        ['F1', 'relay:r1', 'kill'],
      ],
    }),
    'Limits!B2 metric: no connection carries 100 messages/s each way, so "stall" cannot be measured; found stall. Raise the rate [W134]',
  ],
  [
    'two ends that only send',
    {
      Profiles: [
        ['profile', 'direction'],
        ['up', 'send'],
      ],
      Clients: [['client'], ['a'], ['b']],
    },
    'Clients!A3 profile: expected a profile of direction receive or both, as its peer a (Clients!A2) only sends: nothing would go between them; found up of b, direction send [W121]',
  ],
  [
    'an echo of one that only receives',
    {
      Profiles: [
        ['profile', 'direction'],
        ['down', 'receive'],
      ],
      Clients: [
        ['client', 'peer'],
        ['a', 'echo'],
      ],
    },
    'Clients!A2 profile: expected a profile of direction send or both, as its peer a (Clients!A2) only receives: nothing would go between them; found down of a.echo, direction receive [W121]',
  ],
  [
    'injection of something unknown',
    client('inject', 'at(40s):sneeze'),
    'Clients!B2 inject: expected what it does and when, such as at(40s):reset; poisson(0.01/s):flip(1); once:bad_password, of reset, half_open, vanish, stall_read, flip, bad_password, cert_expired, duplicate_id, never_authenticate, garbage, oversize; found "at(40s):sneeze" [W112]',
  ],
  [
    'injection after the end',
    client('inject', 'at(5m):reset'),
    'Clients!B2 inject: expected before the end of the load (60s); found "at(5m):reset" [W120]',
  ],
  [
    'an executor that is none',
    {
      ...twoClients,
      Phases: [
        ['phase', 'executor'],
        ['up', 'ramping rates'],
      ],
    },
    'Phases!B2 executor: expected one of fixed, constant_clients, ramping_clients, constant_rate, ramping_rate, stairs; found "ramping rates". Did you mean ramping_rate? [W112]',
  ],
  ['agents', run('agents', 0), 'Run!B2 agents: expected auto or a whole number from 1 to 1000; found 0 [W107]'],
  [
    'a session that is no time',
    client('session', 'const(10)'),
    'Clients!B2 session: expected a duration such as 30s, or a distribution of them such as uniform(10s,60s), exp(30s), lognormal(30s,0.5) or mix(1s:70%,60s:30%); found "const(10)" [W102]',
  ],
  [
    'a reconnect that is no time',
    client('reconnect', 'soon'),
    'Clients!B2 reconnect: expected yes, no, or how long after the end of a session, such as 5s or exp(10s); found "soon" [W102]',
  ],
  [
    'a connect that waits for a fault',
    client('connect', 'after:F1'),
    'Clients!B2 connect: expected once, never, at(30s), every(5m,±10%) or poisson(0.2/s); found "after:F1" [W109]',
  ],
  [
    'the carrier of browsers',
    client('carrier', 'websocket'),
    'Clients!B2 carrier: expected auto, upgrade, http or grpc (websocket is the carrier of browsers; simulated clients are Node programs); found "websocket" [W123]',
  ],
  [
    'who thinks and has a rate',
    {
      ...twoClients,
      Profiles: [
        ['profile', 'think', 'rate'],
        ['p', '1s', '5/s'],
      ],
    },
    'Profiles!C2 rate: expected nothing (think says when the next message is due: so long after the last answer); found "5/s" [W123]',
  ],
  [
    'the closed model with who only sends',
    {
      ...run('model', 'closed'),
      Profiles: [
        ['profile', 'direction'],
        ['p', 'send'],
      ],
    },
    'Clients!A2 profile: expected a profile of direction both (the closed model waits for answers); found p of a [W123]',
  ],
  [
    'key modes that have nothing in common',
    client('key_mode', 'relay'),
    'Clients!B3 key_mode: expected relay as its peer a (Clients!A2): two ends that accept nothing in common do not meet; found blind [W121]',
  ],
  [
    'a datagram that fits in no packet',
    client('packet_size', '64KiB', {
      Profiles: [
        ['profile', 'mode'],
        ['p', 'datagram'],
      ],
    }),
    'Clients!B2 packet_size: expected at most 65280 bytes (a datagram goes in one packet); found "64KiB" [W107]',
  ],
  [
    'datagrams that compress',
    {
      ...twoClients,
      Profiles: [
        ['profile', 'mode', 'compression'],
        ['p', 'datagram', 'auto'],
      ],
    },
    'Profiles!C2 compression: expected none (datagrams go as they are, only messages are compressed); found "auto" [W107]',
  ],
  [
    'datagrams that nobody sends',
    limit(['limit', 'metric', 'op', 'value'], ['L1', 'datagram_loss', '<=', '1%']),
    'Limits!B2 metric: no enabled client has mode = datagram, so "datagram_loss" cannot be measured; found datagram_loss [W131]',
  ],
  [
    'a gain of nothing',
    limit(['limit', 'metric', 'op', 'value'], ['L1', 'compression_ratio', '<=', '60%']),
    'Limits!B2 metric: no enabled client has compression = auto or always, so "compression_ratio" cannot be measured; found compression_ratio [W131]',
  ],
  [
    'paths',
    client('paths', 'miror(2)'),
    'Clients!B2 paths: expected best, pair, rotate(10s), spread, mirror(n), split(n), disperse(k,n), or send=MODE,receive=MODE, and perhaps ;short=fail; found "miror(2)". Nearest: mirror(n) [W112]',
  ],
]

test.each(rows)('%s', (_why, sheets, error) => {
  expect(errorsOf(sheets)).toContain(error)
})

test('a header without rows asks for nothing', () => {
  expect(errorsOf({ ...twoClients, Phases: [['phase', 'start']], Links: [['from', 'to', 'rtt', 'loss']] })).toEqual([])
})

test('all errors come at once, in order, and at most 200', () => {
  const clients = [['client', 'rate'], ...Array.from({ length: 300 }, (_, i) => [`c${i}`, 'fast'])]
  const result = check({
    Clients: clients,
    Run: [
      ['key', 'value'],
      ['seed', 'x'],
      ['duration', 'y'],
    ],
  })
  expect(result.errors).toHaveLength(200)
  expect(result.errors?.[0]?.text).toMatch(/^Run!B2 seed/)
  expect(result.plan === undefined && result.leftOut).toBe(102)
})

test.each([
  [
    'names without case and with spaces',
    {
      ' CLIENTS ': [
        ['Client', 'Attach At'],
        ['a', '1s'],
        ['b', '1s'],
      ],
    },
  ],
  [
    'x_ and # columns, comment rows, blank rows',
    { Clients: [['client', 'x_owner', '# of boxes'], ['# a comment', 'x'], [''], ['a', 'me', 3], ['b']] },
  ],
  ['x_ sheets and result sheets', { ...twoClients, x_notes: [['hello']], Summary: [['what']], FaultLog: [['act']] }],
  [
    'TRUE for yes',
    {
      Clients: [
        ['client', 'enabled'],
        ['a', true],
        ['b', true],
        ['c', false],
      ],
    },
  ],
] as [string, Sheets][])('taken without complaint: %s', (_why, sheets) => {
  expect(errorsOf(sheets)).toEqual([])
})
