/** The driver against a machine that only takes notes: when it is told what, and what one turn of the event loop shares. */

import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { ClientEffect } from '../../src/core/client/types.ts'
import type { CarrierEvents } from '../../src/node/carrier.ts'
import { type ApplicationEffect, type DrivenMachine, Driver } from '../../src/node/driver.ts'
import { sharedTimer } from '../../src/node/shared-timer.ts'

class NotingMachine implements DrivenMachine {
  readonly notes: string[] = []
  readonly effects: ClientEffect[] = []
  readonly heardEffects: ClientEffect[] = []
  dueAtMs: number | undefined
  carrierWaits(_nowMs: number, key: number, waits: boolean): void {
    this.notes.push(`waits ${key} ${waits}`)
  }
  carrierOpened(_nowMs: number, key: number): void {
    this.notes.push(`opened ${key}`)
  }
  carrierBytes(_nowMs: number, key: number, chunk: Uint8Array): void {
    this.notes.push(`bytes ${key} ${chunk.length}`)
  }
  carrierWritable(_nowMs: number, key: number, writable: boolean): void {
    this.notes.push(`writable ${key} ${writable}`)
  }
  carrierClosed(_nowMs: number, key: number, code: string): void {
    this.notes.push(`closed ${key} ${code}`)
  }
  changed(_nowMs: number, handle: number): void {
    this.notes.push(`changed ${handle}`)
  }
  resumedFromPause(): void {
    this.notes.push('resumed')
  }
  wake(): void {
    this.notes.push('wake')
    this.dueAtMs = undefined
  }
  wakeAtMs(): number | undefined {
    return this.dueAtMs
  }
  heard(): ClientEffect | undefined {
    const effect = this.heardEffects.shift()
    if (effect !== undefined) this.notes.push(`heard ${effect.type}`)
    return effect
  }
  poll(): ClientEffect | undefined {
    const effect = this.effects.shift()
    if (effect !== undefined) this.notes.push(`effect ${effect.type}`)
    return effect
  }
}

const drivers: Driver[] = []
afterEach(() => {
  for (const driver of drivers.splice(0)) driver.finish()
})

function world(options: { takes?: boolean; waits?: boolean; onEffect?: (effect: ApplicationEffect) => void; refuse?: boolean } = {}) {
  const machine = new NotingMachine()
  const carriers: CarrierEvents[] = []
  const written: number[] = []
  let nowMs = 1_000
  const driver = new Driver({
    machine,
    now: () => nowMs,
    onEffect: (effect) => options.onEffect?.(effect),
    dial: (_effect, events) => {
      if (options.refuse) throw Object.assign(new Error('no such thing'), { code: 'carrier_unknown' })
      carriers.push(events)
      return {
        waits: options.waits ?? false,
        write: (pieces) => {
          written.push(pieces.length)
          return options.takes ?? true
        },
        close: () => void machine.notes.push('hung up'),
      }
    },
  })
  drivers.push(driver)
  return {
    machine,
    driver,
    carriers,
    written,
    pass: (ms: number) => {
      nowMs += ms
    },
    dial(key: number) {
      machine.effects.push({ type: 'dial', key, relayId: 'r1', url: 'http://r', carrier: 'upgrade', first: () => new Uint8Array(0) })
    },
  }
}

describe('Driver', () => {
  it('tells the machine that a dial waits for its turn, and when it begins', async () => {
    const { machine, driver, carriers, dial } = world({ waits: true })
    dial(7)
    driver.touch(3)
    await Promise.resolve()
    carriers[0]!.onBegin!()
    expect(machine.notes.filter((note) => note.startsWith('waits'))).toEqual(['waits 7 true', 'waits 7 false'])
  })

  it('lets the first write of a turn leave at once, and what follows it in the same turn leave together', async () => {
    const { machine, driver } = world()
    const told = (): number => machine.notes.filter((note) => note === 'changed 7').length
    driver.touch(7)
    await Promise.resolve()
    expect(told()).toBe(1)
    for (let count = 0; count < 20; count += 1) {
      driver.touch(7)
      await Promise.resolve()
    }
    expect(told()).toBe(1)
    await turn()
    expect(told()).toBe(2)
    await turn()
    driver.touch(7)
    await Promise.resolve()
    expect(told()).toBe(3)
  })

  it('tells the machine of what was read once a turn, but takes it along with what is written', async () => {
    const { machine, driver } = world()
    const told = (): number => machine.notes.filter((note) => note === 'changed 7').length
    for (let count = 0; count < 20; count += 1) {
      driver.touchLater(7)
      await Promise.resolve()
    }
    expect(told()).toBe(0)
    await turn()
    expect(told()).toBe(1)
    driver.touchLater(7)
    driver.touch(8)
    await Promise.resolve()
    expect(told()).toBe(2)
  })

  it('carries out what an application did inside a callback before any effect that waits behind it', async () => {
    const { machine, driver } = world({ onEffect: (effect) => effect.type === 'streamEvent' && driver.touch(7) })
    machine.effects.push({ type: 'streamEvent', handle: 7, event: { type: 'message' } }, { type: 'hangUp', key: 99 })
    driver.touch(3)
    await Promise.resolve()
    expect(machine.notes).toEqual(['changed 3', 'effect streamEvent', 'changed 7', 'effect hangUp'])
  })

  it('makes the acks of a conversation when the application has answered, promises included', async () => {
    const { machine, driver, carriers, dial } = world({
      onEffect: (effect) => {
        if (effect.type !== 'streamEvent') return
        void (async () => {
          for (let hop = 0; hop < 5; hop += 1) await undefined
          driver.touch(7)
        })()
      },
    })
    dial(1)
    driver.act(() => {})
    await turn()
    machine.notes.length = 0
    carriers[0]!.onBytes(new Uint8Array(100))
    machine.heardEffects.push({ type: 'streamEvent', handle: 7, event: { type: 'message' } })
    machine.effects.push({ type: 'write', key: 1, pieces: [] })
    await turn()
    expect(machine.notes).toEqual(['bytes 1 100', 'heard streamEvent', 'changed 7', 'effect write'])
  })

  it('makes the acks of a burst before the application works on it', async () => {
    const { machine, driver, carriers, dial } = world()
    dial(1)
    driver.act(() => {})
    await turn()
    machine.notes.length = 0
    carriers[0]!.onBytes(new Uint8Array(60_000))
    machine.effects.push({ type: 'write', key: 1, pieces: [] }, { type: 'streamEvent', handle: 7, event: { type: 'message' } })
    machine.heardEffects.push({ type: 'streamEvent', handle: 7, event: { type: 'message' } })
    await turn()
    expect(machine.notes).toEqual(['bytes 1 60000', 'effect write', 'effect streamEvent'])
  })

  it('tells the machine once of all that an application did in a turn, and does not wait for the next turn', async () => {
    const { machine, driver } = world()
    for (let count = 0; count < 100; count += 1) driver.touch(7)
    driver.touch(8)
    expect(machine.notes).toEqual([])
    await Promise.resolve()
    expect(machine.notes).toEqual(['changed 7', 'changed 8'])
  })

  it('takes in what every socket of a turn has read before it carries out anything', async () => {
    const { machine, driver, carriers, dial } = world()
    dial(1)
    dial(2)
    driver.act(() => {})
    await turn()
    machine.notes.length = 0
    carriers[0]!.onBytes(new Uint8Array(10))
    machine.effects.push({ type: 'write', key: 1, pieces: [] })
    await Promise.resolve()
    carriers[1]!.onBytes(new Uint8Array(20))
    await turn()
    expect(machine.notes).toEqual(['bytes 1 10', 'bytes 2 20', 'effect write'])
  })

  it('says when a carrier takes no more, and when it does again', async () => {
    const { machine, driver, carriers, dial } = world({ takes: false })
    dial(1)
    machine.effects.push({ type: 'write', key: 1, pieces: [new Uint8Array(1)] })
    driver.act(() => {})
    await turn()
    carriers[0]!.onDrain()
    await turn()
    expect(machine.notes).toEqual(['effect dial', 'effect write', 'writable 1 false', 'writable 1 true'])
  })

  it('reads every socket once more before a timer that is due is believed', async () => {
    const { machine, driver, carriers, dial, pass } = world()
    dial(1)
    driver.act(() => {})
    await turn()
    await turn() // the first write of a turn leaves at once, and this is to be one
    machine.notes.length = 0
    machine.dueAtMs = 1_005
    pass(5)
    driver.touch(3)
    await Promise.resolve()
    expect(machine.notes).toEqual(['changed 3'])
    carriers[0]!.onBytes(new Uint8Array(1))
    await turn()
    expect(machine.notes).toEqual(['changed 3', 'bytes 1 1', 'wake'])
  })

  it('tells its own pause before anything else when it comes back late', async () => {
    const { machine, driver, carriers, dial, pass } = world()
    dial(1)
    machine.dueAtMs = 1_100
    driver.act(() => {})
    await turn()
    machine.notes.length = 0
    pass(100 + 501)
    carriers[0]!.onBytes(new Uint8Array(1))
    await turn()
    expect(machine.notes).toEqual(['resumed', 'bytes 1 1', 'wake'])
  })

  it('wakes the machine at its new time, and only then, when what a timer was armed for was put off', async () => {
    const { machine, driver, pass } = world()
    machine.dueAtMs = 1_002
    driver.act(() => {})
    await turn()
    machine.dueAtMs = 1_006
    pass(3)
    await new Promise((done) => setTimeout(done, 3))
    await turn()
    expect(machine.notes).toEqual([])
    pass(3)
    await vi.waitFor(() => expect(machine.notes).toEqual(['wake']), { timeout: 5_000, interval: 1 })
  })

  it('waits for one time only, and for none once it has finished or has nothing to wait for', async () => {
    const { machine, driver } = world()
    machine.dueAtMs = 1_900
    driver.act(() => {})
    await turn()
    machine.dueAtMs = 1_400
    driver.act(() => {})
    await turn()
    expect(sharedTimer.size).toBe(1)
    machine.dueAtMs = undefined
    driver.act(() => {})
    await turn()
    expect(sharedTimer.size).toBe(0)
    machine.dueAtMs = 1_900
    driver.act(() => {})
    await turn()
    expect(sharedTimer.size).toBe(1)
    driver.finish()
    expect(sharedTimer.size).toBe(0)
  })

  it('tells of a dial that cannot even begin in a turn of its own', async () => {
    const { machine, driver, dial } = world({ refuse: true })
    dial(1)
    driver.act(() => {})
    await Promise.resolve()
    expect(machine.notes).toEqual(['effect dial'])
    await turn()
    await turn()
    expect(machine.notes).toEqual(['effect dial', 'closed 1 carrier_unknown'])
  })

  it('says nothing of a carrier that was hung up, and ends the others when it finishes', async () => {
    const { machine, driver, carriers, dial } = world()
    dial(1)
    dial(2)
    driver.act(() => {})
    await turn()
    machine.effects.push({ type: 'hangUp', key: 1 })
    driver.act(() => {})
    await turn()
    carriers[0]!.onClose('carrier_lost', '')
    driver.finish()
    carriers[1]!.onBytes(new Uint8Array(1))
    await turn()
    expect(machine.notes).toEqual(['effect dial', 'effect dial', 'effect hangUp', 'hung up', 'hung up'])
  })
})
