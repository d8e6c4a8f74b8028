/** The turns of the event loop that the clients of a process share: in which order they are told, answer and write. */

import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Turns } from '../../src/node/turns.ts'

describe('Turns', () => {
  it('lets all hear what came, then all applications answer, then all answers leave', async () => {
    const turns = new Turns()
    const notes: string[] = []
    for (const client of ['a', 'b']) {
      turns.atEnd(() => {
        notes.push(`${client} hears`)
        turns.afterAnswers(() => void notes.push(`${client} writes`))
        void (async () => {
          for (let hop = 0; hop < 5; hop += 1) await undefined
          notes.push(`${client} answers`)
        })()
      })
    }
    await turn()
    expect(notes).toEqual(['a hears', 'b hears', 'a answers', 'b answers', 'a writes', 'b writes'])
  })

  it('gives what is asked for at the end of a turn the end of the next one, and counts both', async () => {
    const turns = new Turns()
    const seen: number[] = []
    turns.atEnd(() => {
      seen.push(turns.number)
      turns.atEnd(() => void seen.push(turns.number))
    })
    await turn()
    expect(seen).toEqual([1])
    await turn()
    expect(seen).toEqual([1, 2])
  })

  it('ends the turn of those who wait already when a poll brings very many', async () => {
    const turns = new Turns()
    let ran = 0
    const come = (clients: number): void => {
      for (let client = 0; client < clients; client += 1) {
        turns.atEnd(() => {
          ran += 1
        })
        turns.relieve()
      }
    }
    come(63)
    expect([ran, turns.number]).toEqual([0, 0])
    come(100)
    expect([ran, turns.number]).toEqual([128, 2])
    await turn()
    expect(ran).toBe(163)
  })

  it('runs what is to be soon before the turn ends, and what that asks for after it', async () => {
    const turns = new Turns()
    const notes: string[] = []
    turns.atEnd(() => void notes.push('end'))
    turns.soon(() => {
      notes.push('a')
      turns.soon(() => void notes.push('c'))
    })
    turns.soon(() => void notes.push('b'))
    expect(notes).toEqual([])
    await Promise.resolve()
    expect(notes).toEqual(['a', 'b'])
    await turn()
    expect(notes).toEqual(['a', 'b', 'c', 'end'])
  })

  it('runs each task as often as it was asked for, in turns of many and of few', async () => {
    const turns = new Turns()
    const ran: number[] = []
    for (const tasks of [50, 3, 0, 20]) {
      ran.length = 0
      for (let task = 0; task < tasks; task += 1) turns.atEnd(() => void ran.push(task))
      await turn()
      expect(ran).toEqual(Array.from({ length: tasks }, (_, task) => task))
    }
  })

  it('tells who is relieved so, and gives what must hear all first the end of the reads', async () => {
    const turns = new Turns()
    const notes: string[] = []
    for (let client = 0; client < 64; client += 1) {
      turns.atEnd(() => {
        if (client === 0) notes.push(turns.relieves ? 'relieved' : 'at the end')
        if (client === 0) turns.afterReads(() => void notes.push(turns.relieves ? 'too early' : 'after all reads'))
      })
      turns.relieve()
    }
    expect(notes).toEqual(['relieved'])
    turns.atEnd(() => void notes.push('the last one reads'))
    await turn()
    expect(notes).toEqual(['relieved', 'the last one reads', 'after all reads'])
  })

  it('keeps nobody from his turn because of what another throws', async () => {
    const errors: unknown[] = []
    const notes: string[] = []
    const turns = new Turns((error) => void errors.push(error))
    turns.atEnd(() => {
      turns.afterAnswers(() => {
        throw new Error('b')
      })
      turns.afterAnswers(() => void notes.push('after b'))
      throw new Error('a')
    })
    turns.atEnd(() => void notes.push('after a'))
    turns.soon(() => {
      throw new Error('soon')
    })
    turns.soon(() => void notes.push('after soon'))
    await turn()
    expect(notes).toEqual(['after soon', 'after a', 'after b'])
    expect(errors).toEqual([new Error('soon'), new Error('a'), new Error('b')])
  })
})
