import { expect, test } from 'vitest'
import { Queue } from '../../src/core/queue'
import { Chance } from './sending-kit'

test('the first key is that of a Map, whatever is added, deleted and added again', () => {
  for (let seed = 0; seed < 50; seed++) {
    const chance = new Chance(seed)
    const queue = new Queue<number, string>()
    for (let n = 0; n < 400; n++) {
      const key = chance.int(0, 12)
      if (chance.odds(0.5)) queue.set(key, `${n}`)
      else if (chance.odds(0.5)) queue.delete(key)
      else queue.delete(queue.first() ?? 0)
      if (chance.odds(0.7)) expect(queue.first(), `seed ${seed}`).toBe([...queue.keys()][0])
    }
  }
})
